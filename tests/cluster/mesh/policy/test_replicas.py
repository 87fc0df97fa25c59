"""Limits where there are several egress Envoys: each counts by itself, unless a service counts for all of them."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster import builds, images
from tests.cluster.archive import Image, Link
from tests.cluster.limiting import LIMITS
from tests.cluster.mesh.apps import App
from tests.cluster.mesh.conftest import SYSTEM, Mesh
from tests.cluster.mesh.operating import set_
from tests.cluster.mesh.policy.spaces import TO_ECHO, Space, policy
from tests.outside.calling import until

pytestmark = pytest.mark.cluster

IMAGE = "localhost/limits:1"
SETTING = "OUTGATE_RATE_LIMIT_SERVICE"
COUNTING = f"""
apiVersion: v1
kind: Pod
metadata: {{name: limits, labels: {{app: limits}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: limits
    image: {IMAGE}
    imagePullPolicy: Never
    command:
    - sh
    - -c
    - |
      redis-server --bind 127.0.0.1 --save '' &
      until redis-cli ping; do sleep 0.1; done
      exec ratelimit
    env:
    - {{name: RUNTIME_ROOT, value: /etc}}
    - {{name: RUNTIME_SUBDIRECTORY, value: limits}}
    - {{name: RUNTIME_WATCH_ROOT, value: "false"}}
    - {{name: REDIS_SOCKET_TYPE, value: tcp}}
    - {{name: REDIS_URL, value: "127.0.0.1:6379"}}
    - {{name: USE_STATSD, value: "false"}}
    readinessProbe: {{tcpSocket: {{port: 8081}}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {{name: limits}}
spec: {{selector: {{app: limits}}, ports: [{{name: grpc, port: 18081, targetPort: 8081}}]}}
"""


@pytest.fixture(scope="module")
def two(mesh: Mesh) -> Iterator[None]:
    """Two egress Envoys."""
    egress = ("-n", SYSTEM, "deployment/outgate-egress")
    mesh.cluster.kubectl("scale", *egress, "--replicas=2")
    mesh.cluster.kubectl("rollout", "status", *egress, "--timeout=60s")
    yield
    mesh.cluster.kubectl("scale", *egress, "--replicas=1")


@pytest.fixture
def counting(mesh: Mesh, namespace: str, tmp_path: Path) -> Iterator[None]:
    """A rate-limit service, in a namespace of its own, that the mesh is told of."""
    tree = images.base() | images.programs("redis-server", "redis-cli")
    # Debian has one program of several names.
    redis = Path(shutil.which("redis-server") or "").resolve()
    tree["bin/redis-server"] = Link(str(redis))
    tree["bin/ratelimit"] = builds.program(builds.RATE_LIMIT)
    tree["etc/limits/config/limits.yaml"] = LIMITS.encode()
    Image(IMAGE, tree).pack(tmp_path / "limits.tar")
    mesh.cluster.import_image(tmp_path / "limits.tar")
    mesh.cluster.apply(COUNTING, namespace=namespace)
    mesh.cluster.wait("Ready", "pod/limits", namespace=namespace)
    set_(mesh, f"{SETTING}=limits.{namespace}.svc.cluster.local:18081")
    yield
    set_(mesh, f"{SETTING}-")


def statuses(space: Space, builder: App) -> list[int]:
    """Return what became of calls by two pods; each is a connection of its own, to either egress."""
    return [each.call("http://echo/").status for _ in range(6) for each in (space.app, builder)]


@pytest.mark.usefixtures("two")
def test_each_egress_allows_as_much(space: Space, builder: App) -> None:
    limit = {"requests": 2, "per": "300s", "share": "All"}
    space.apply(policy("p", {"to": TO_ECHO, "rateLimit": limit}))
    found = statuses(space, builder)
    assert set(found) == {200, 429}
    assert 2 < found.count(200) <= 4
    assert found[:2] == [200, 200]


@pytest.mark.usefixtures("two", "counting")
def test_a_service_counts_for_all_of_them(space: Space, builder: App) -> None:
    limit = {"domain": "outgate", "descriptors": {"tier": "gold"}}
    with space.mesh.cluster.enforcing():
        free = {"to": [{"service": "ws"}]}
        space.apply(policy("p", {"to": TO_ECHO, "globalRateLimit": limit}, free))
        # The plugin takes a while until it lets packets through.
        assert until(lambda: [space.status("http://ws/") for _ in range(6)] == [200] * 6, 60)
        found = statuses(space, builder)
        denied = space.app.call("http://echo/")
    assert found == [200] * 4 + [429] * 8
    assert "egresspolicy/p/rule-1" in denied.body
    lines = [each.partition("] ") for each in space.mesh.logs("outgate-egress").splitlines()]
    calls = [(pod, json.loads(line)) for pod, _, line in lines if line.startswith("{")]
    # Both took part.
    assert len({pod for pod, call in calls if call["namespace"] == space.namespace}) == 2
