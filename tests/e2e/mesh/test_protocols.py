"""What is spoken over a declared name, as it arrives outside: the same with node capture and with sidecars."""

import json

import pytest
from tests.e2e.mesh.spaces import Space
from tests.outside.control import Outside

pytestmark = [pytest.mark.root, pytest.mark.envoy]


def service(name: str, host: str, **ports: int) -> str:
    """`tcp_x=7` is the port 7, called `tcp-x`."""
    listed = [{"name": key.replace("_", "-"), "port": value} for key, value in ports.items()]
    spec = {"type": "ExternalName", "externalName": host, "ports": listed}
    return json.dumps(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
    )


def test_http(space: Space, outside: Outside) -> None:
    outside.open("web")
    space.apply(service("echo", "echo.test", http=80, https=443))
    said = space.call("http://echo/a?b=1", "-d", "12345")
    assert (said.status, said.http) == (200, "1.1")
    assert (said.json()["scheme"], said.json()["size"]) == ("http", 5)
    assert space.call("http://echo:443/").json()["scheme"] == "https"


def test_grpc_ends_with_trailers_and_status(space: Space, outside: Outside) -> None:
    outside.open("grpc")
    space.apply(service("rpc", "grpc.test", grpc=50051))
    said = space.grpc("rpc:50051", "Unary", "hello", x_a="b")
    assert (said["messages"], said["code"]) == (["hello"], "OK")
    assert json.loads(dict(said["trailing"])["x-seen"])["x-a"] == "b"
    said = space.grpc("rpc:50051", "Unary", "", x_status="7", x_details="not you")
    assert (said["code"], said["details"]) == ("PERMISSION_DENIED", "not you")


@pytest.mark.parametrize(
    ("method", "messages", "back"),
    [("Upload", "abc", ["abc"]), ("Download", ["abc"], [*"abc"]), ("Chat", "abc", [*"abc"])],
)
def test_grpc_streams(
    space: Space, outside: Outside, method: str, messages: list[str], back: list[str]
) -> None:
    outside.open("grpc")
    space.apply(service("rpc", "grpc.test", grpc=50051))
    said = space.grpc("rpc:50051", method, *messages)
    assert (said["messages"], said["code"]) == (back, "OK")


@pytest.mark.parametrize("port", [80, 443])
def test_websocket(space: Space, outside: Outside, port: int) -> None:
    outside.open("web")
    space.apply(service("ws", "ws.test", http=80, https=443))
    # What the egress opens TLS for is plain to the application.
    said = space.websocket(f"http://ws:{port}/ws", "hello", "bye", protocols=["echo"])
    assert (said["received"], said["protocol"]) == (["hello", "bye"], "echo")


def test_a_websocket_to_a_server_that_prefers_http2(space: Space, outside: Outside) -> None:
    outside.open("h2")
    space.apply(service("h2", "h2.test", https=443))
    assert space.call("http://h2:443/").json()["http"] == "2"
    said = space.websocket("http://h2:443/", "hello", protocols=["http-1.1", "http-2"])
    assert (said["received"], said["protocol"]) == (["hello"], "http-1.1")
    assert space.call("http://h2:443/").json()["http"] == "2"


def test_a_websocket_to_what_is_not_declared_is_denied(space: Space, outside: Outside) -> None:
    outside.open("web")
    address = outside.internet.plan.records()["tcp.test", "A"][0]
    assert space.websocket(f"http://{address}/ws", "hello")["status"] == 403


@pytest.mark.usefixtures("postgres")
def test_postgresql(space: Space) -> None:
    space.apply(service("postgres", "postgres.test", tcp=5432))
    place = "host=postgres user=app password=secret dbname=postgres"
    assert space.exec("psql", "-At", place, "-c", "select 6*7") == "42\n"


@pytest.mark.usefixtures("redis")
def test_redis(space: Space) -> None:
    space.apply(service("redis", "redis.test", tcp=6379))
    assert space.exec("redis-cli", "-h", "redis", "set", "a", "b") == "OK\n"


def test_a_server_that_speaks_first(space: Space) -> None:
    space.apply(service("banner", "banner.test", tcp=7778))
    said = space.tcp("banner", 7778, "hello", greeting=23)
    assert said["received"] == ["220 banner.test ready\r\n", "hello"]


def test_tls_of_the_application_over_tcp(space: Space, outside: Outside) -> None:
    outside.open("tls-echo", "tls-banner")
    space.apply(service("secret", "tls.test", tcp=7779, tcp_first=7780))
    said = space.tcp("secret", 7779, "hello", ca=outside.ca, sni="tls.test")
    assert (said["received"], said["error"]) == (["hello"], "")
    said = space.tcp("secret", 7780, "hello", ca=outside.ca, sni="tls.test", greeting=20)
    assert said["received"] == ["220 tls.test ready\r\n", "hello"]


def external(name: str, host: str, *ports: str) -> str:
    listed = "".join(f"\n  - {{{each}}}" for each in ports)
    return f"""
apiVersion: outgate.dev/v1alpha1
kind: ExternalService
metadata: {{name: {name}}}
spec:
  hosts: [{host}]
  ports:{listed}
"""


def test_http2(space: Space, outside: Outside) -> None:
    outside.open("h2")
    space.apply(
        external(
            "h2",
            "h2.test",
            "name: h2, port: 80, protocol: HTTP2",
            "name: https, port: 443, protocol: HTTPS",
        )
    )
    said = space.call("http://h2.test/x", "-d", "123")
    assert (said.http, said.json()["http"], said.json()["scheme"]) == ("1.1", "2", "http")
    said = space.call("http://h2.test/x", "--http2-prior-knowledge", "-d", "123")
    assert (said.http, said.json()["http"]) == ("2", "2")
    assert space.call("http://h2.test:443/").json()["scheme"] == "https"
