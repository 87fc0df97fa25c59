"""A thousand Services at once: all of them work soon, at a cost that does not grow with anything else, and end at once.

The bounds are far from what was measured; docs/performance.md has the figures.
"""

import json
import re
import time
from collections.abc import Callable, Iterator

import pytest
from tests.cluster.mesh.conftest import APP, Mesh

COUNT = 1_000
LAST = f"many-{COUNT - 1}"


def services() -> str:
    items = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": f"many-{number}", "labels": {"many": "yes"}},
            "spec": {
                "type": "ExternalName",
                "externalName": "httpbin.org",
                "ports": [{"name": "http", "port": 80}],
            },
        }
        for number in range(COUNT)
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


@pytest.fixture
def app(mesh: Mesh) -> Iterator[str]:
    with mesh.cluster.namespace() as name:
        mesh.cluster.apply(mesh.inject(APP), namespace=name)
        mesh.cluster.wait("Ready", "pod/app", namespace=name)
        yield name


def status(mesh: Mesh, namespace: str, *names: str) -> set[str]:
    """Return what calls of these services are answered: their HTTP statuses."""
    urls = "".join(f" -o /dev/null http://{each}/headers" for each in names)
    script = f"curl -sS -m 10 -w '%{{http_code}} ' {urls} || true"
    said = mesh.cluster.exec("app", "sh", "-c", script, namespace=namespace, container="app")
    return set(said.split())


def until(is_so: Callable[[set[str]], bool], mesh: Mesh, namespace: str, *names: str) -> None:
    deadline = time.monotonic() + 60
    while not is_so(found := status(mesh, namespace, *names)):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def asked(mesh: Mesh) -> int:
    """Return how many requests of service accounts the API server has taken: nearly all are the controller's."""
    text = mesh.cluster.kubectl("get", "--raw", "/metrics")
    name = r"apiserver_flowcontrol_dispatched_requests_total"
    found = re.findall(rf'^{name}{{flow_schema="service-accounts",.*}} (\S+)$', text, re.MULTILINE)
    return round(sum(map(float, found)))


def used(mesh: Mesh) -> tuple[float, float]:
    """Return the controller's CPU time (s) and resident memory (MB)."""
    node = mesh.cluster.node
    pid = node.run("pgrep", "-o", "-f", "outgate controller --hub").strip()
    fields = node.run("cat", f"/proc/{pid}/stat").rpartition(")")[2].split()
    # 100 ticks a second; pages of 4 KiB.
    return (int(fields[11]) + int(fields[12])) / 100, int(fields[21]) * 4096 / 1e6


def test_a_thousand_services_at_once(mesh: Mesh, app: str) -> None:
    calls, (cpu, _) = asked(mesh), used(mesh)
    mesh.cluster.kubectl("create", "-n", app, "-f", "-", text=services(), seconds=120)
    until(lambda found: found == {"200"}, mesh, app, LAST)
    some = [f"many-{number}" for number in range(0, COUNT, 50)]
    assert status(mesh, app, *some) == {"200"}
    calls, (cpu_after, memory) = asked(mesh) - calls, used(mesh)
    assert calls < 3 * COUNT
    assert cpu_after - cpu < 60
    assert memory < 500
    path = f"/api/v1/namespaces/{app}/services?labelSelector=many%3Dyes"
    mesh.cluster.kubectl("delete", "--raw", path)
    # Their names are gone as well; what a resolver remembers leads nowhere.
    until(lambda found: "200" not in found, mesh, app, LAST, *some)
