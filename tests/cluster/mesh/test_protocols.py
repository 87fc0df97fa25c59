"""What is spoken over a declared name, as it arrives outside: the small set of tests/e2e/mesh/test_protocols.py."""

import json
import sys
from collections.abc import Iterator

import pytest
from tests.cluster.internet import ClusterInternet
from tests.cluster.mesh.asking import Pod, start
from tests.cluster.mesh.conftest import Mesh
from tests.cluster.mesh.test_names import programmed
from tests.outside import databases
from tests.outside.calling import Answer, Clients, answer, curl_command
from tests.outside.control import Outside

pytestmark = pytest.mark.cluster

# As a process of the pod: its network, its resolver, its user.
_INSIDE = """
mount --bind "$1" /etc/resolv.conf
netns=$2
shift 2
exec nsenter --net="$netns" setpriv --reuid=100 --regid=101 --clear-groups "$@"
"""


class App(Pod, Clients):
    """A captured pod, in which programs of this machine can be run that no image has."""

    def inside(self, *words: str) -> str:
        resolver = self.mesh.cluster.node.place.folder / f"resolv-{self.namespace}"
        if not resolver.exists():
            resolver.write_text(self.run("cat /etc/resolv.conf"))
        command = ("unshare", "--mount", "sh", "-ec", _INSIDE, "sh", str(resolver), self.netns)
        return self.mesh.cluster.node.run(*command, *words)

    def call(self, url: str, *flags: str) -> Answer:
        return answer(self.inside(*curl_command(url, *flags)), "")

    def _run(self, code: str, asked: str) -> str:
        return self.inside(sys.executable, "-I", "-c", code, asked)


def service(name: str, host: str, **ports: int) -> str:
    listed = [{"name": key, "port": value} for key, value in ports.items()]
    spec = {"type": "ExternalName", "externalName": host, "ports": listed}
    return json.dumps(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
    )


SERVICES = {
    "echo": service("echo", "echo.test", http=80),
    "h2": service("h2", "h2.test", http2=80, https=443),
    "rpc": service("rpc", "grpc.test", grpc=50051),
    "banner": service("banner", "banner.test", tcp=7778),
    "secret": service("secret", "tls.test", tcp=7779),
    "database": service("database", "postgres.test", tcp=5432),
    "cache": service("cache", "redis.test", tcp=6379),
}


@pytest.fixture(scope="module")
def outside(internet: ClusterInternet) -> Iterator[Outside]:
    made = Outside(internet)
    made.open("web", "h2", "grpc", "tls-echo")
    with databases.postgres(made), databases.redis(made):
        yield made
    for each in ("web", "h2", "grpc", "tls-echo"):
        internet.pause(each)


@pytest.fixture(scope="module")
def app(mesh: Mesh, outside: Outside) -> Iterator[App]:
    assert outside
    with mesh.cluster.namespace() as name:
        mesh.cluster.apply(*SERVICES.values(), namespace=name)
        start(mesh, name, "app")
        programmed(mesh, name, *SERVICES)
        yield App(mesh, name)


def test_http2(app: App) -> None:
    assert app.call("http://h2/x", "-d", "123").json()["http"] == "2"
    said = app.call("http://h2:443/x", "--http2-prior-knowledge")
    assert (said.http, said.json()["http"], said.json()["scheme"]) == ("2", "2", "https")


def test_grpc(app: App) -> None:
    said = app.grpc("rpc:50051", "Chat", *"abc", x_a="b")
    assert (said["messages"], said["code"]) == ([*"abc"], "OK")
    assert json.loads(dict(said["trailing"])["x-seen"])["x-a"] == "b"
    said = app.grpc("rpc:50051", "Unary", "", x_status="7", x_details="not you")
    assert (said["code"], said["details"]) == ("PERMISSION_DENIED", "not you")


def test_websocket(app: App) -> None:
    assert app.websocket("http://echo/ws", "hello", "bye")["received"] == ["hello", "bye"]


def test_tcp(app: App, outside: Outside) -> None:
    said = app.tcp("banner", 7778, "hello", greeting=23)
    assert said["received"] == ["220 banner.test ready\r\n", "hello"]
    said = app.tcp("secret", 7779, "hello", ca=outside.ca, sni="tls.test")
    assert (said["received"], said["error"]) == (["hello"], "")


def test_databases(app: App) -> None:
    place = "host=database user=app password=secret dbname=postgres sslmode=require"
    assert app.inside("psql", "-At", place, "-c", "select 6*7") == "42\n"
    assert app.inside("redis-cli", "-h", "cache", "set", "a", "b") == "OK\n"
