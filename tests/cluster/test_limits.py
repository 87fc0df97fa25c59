"""Calls that a rate-limit service counts: the one that is made for Envoy, with a Redis behind it.

It is here, and not with the other tests of a mesh on one machine, because it is built with the cluster's Go.
"""

import contextlib
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster import builds
from tests.cluster.conftest import say
from tests.cluster.limiting import LIMITS
from tests.e2e.mesh.conftest import Mesh, left_behind
from tests.outside import databases
from tests.outside.calling import until
from tests.outside.control import Outside

from outgate.internet.manager import SmallInternet

pytestmark = [pytest.mark.cluster, pytest.mark.root, pytest.mark.envoy]


def service(name: str) -> str:
    ports = [{"name": "http", "port": 80}]
    spec = {"type": "ExternalName", "externalName": f"{name}.test", "ports": ports}
    return json.dumps(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
    )


def counted(name: str, tier: str) -> dict[str, Any]:
    limit = {"domain": "outgate", "descriptors": {"tier": tier}}
    return {"to": [{"service": name}], "globalRateLimit": limit}


def policy(*rules: dict[str, Any]) -> str:
    return json.dumps(
        {
            "apiVersion": "outgate.dev/v1alpha1",
            "kind": "EgressPolicy",
            "metadata": {"name": "tiers"},
            "spec": {"rules": rules},
        }
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def counting(folder: Path, redis: str) -> Iterator[str]:
    """Run the service with LIMITS; it answers at HOST:PORT, which is returned."""
    limits = folder / "limits" / "config"
    limits.mkdir(parents=True)
    (limits / "limits.yaml").write_text(LIMITS)
    names = ("GRPC_PORT", "PORT", "DEBUG_PORT")
    ports = {each: free_port() for each in names}
    hosts = dict.fromkeys(("GRPC_HOST", "HOST", "DEBUG_HOST"), "127.0.0.1")
    environment = {
        **hosts,
        **{name: str(port) for name, port in ports.items()},
        "RUNTIME_ROOT": str(folder),
        "RUNTIME_SUBDIRECTORY": "limits",
        "RUNTIME_WATCH_ROOT": "false",
        "REDIS_SOCKET_TYPE": "tcp",
        "REDIS_URL": redis,
        "USE_STATSD": "false",
    }
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [builds.program(builds.RATE_LIMIT)], env=environment, cwd=folder, stdout=log, stderr=log
        ) as process,
    ):
        try:
            assert until(lambda: answers(ports["GRPC_PORT"]), 20), (folder / "log").read_text()
            yield f"127.0.0.1:{ports['GRPC_PORT']}"
        finally:
            process.terminate()


@pytest.fixture
def machine(tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[Mesh]:
    """A mesh on this machine, whose egress asks the service."""
    builds.build(say(pytestconfig))
    with SmallInternet() as internet:
        outside = Outside(internet)
        outside.open("web")
        address = internet.plan.records()["banner.test", "A"][0]
        with databases.redis(outside), counting(tmp_path, f"{address}:6379") as place:
            made = Mesh(internet, "node")
            made.environment["OUTGATE_RATE_LIMIT_SERVICE"] = place
            made.up()
            try:
                yield made
            finally:
                made.down()
                assert not left_behind(made)
                subprocess.run(["rm", "-rf", str(made.folder)], check=True)


def test_all_pods_calls_are_counted_together(machine: Mesh) -> None:
    rules = (counted("echo", "gold"), counted("ws", "silver"))
    machine.apply(service("echo"), service("ws"), policy(*rules))
    with machine.pod("one"), machine.pod("two"):
        said = [machine.call(pod, "http://echo/") for pod in ("one", "two", "one", "two", "one")]
        assert [each.status for each in said] == [200, 200, 200, 200, 429], said
        assert "egresspolicy/tiers/rule-1" in said[-1].body
        assert machine.call("two", "http://echo/").status == 429
        line = machine.log(lambda each: each.get("status") == 429)
        assert line["decision"] == "denied"
        assert line["reason"].startswith("egresspolicy/tiers/rule-1")
        # Another descriptor is another count.
        assert [machine.call("two", "http://ws/").status for _ in range(2)] == [200, 429]
        # It is the service that counts: what Envoy forgets is not forgiven.
        machine.down()
        machine.up()
    machine.apply(service("echo"), service("ws"), policy(*rules))
    with machine.pod("three"):
        assert machine.call("three", "http://echo/").status == 429
