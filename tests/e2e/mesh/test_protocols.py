"""What is spoken over a declared name, as it arrives outside: the same with node capture and with sidecars.

First Services of type ExternalName, which applications call by their names; then ExternalServices, by the hosts' own.
"""

import json
import shutil
from typing import Any

import pytest
from tests.e2e.mesh.saying import external, policy, service
from tests.e2e.mesh.spaces import Space
from tests.outside.calling import tls_secret, until
from tests.outside.control import Outside

from outgate.internet.certificates import Pair

pytestmark = [pytest.mark.root, pytest.mark.envoy]


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


def test_http2(space: Space, outside: Outside) -> None:
    outside.open("h2")
    space.apply(external("h2.test", ports=["HTTP2:80", "HTTPS:443"]))
    said = space.call("http://h2.test/x", "-d", "123")
    assert (said.http, said.json()["http"], said.json()["scheme"]) == ("1.1", "2", "http")
    said = space.call("http://h2.test/x", "--http2-prior-knowledge", "-d", "123")
    assert (said.http, said.json()["http"]) == ("2", "2")
    assert space.call("http://h2.test:443/").json()["scheme"] == "https"


def test_https_is_opened_and_verified_or_refused(space: Space, outside: Outside) -> None:
    outside.open("web", "wild")
    space.apply(
        external("echo.test", ports=["HTTPS:80:443"]),
        external("odd.wild.test", ports=["HTTPS:443"]),
    )
    said = space.call("http://echo.test/").json()
    assert (said["scheme"], said["sni"], said["host"]) == ("https", "echo.test", "echo.test")
    assert space.call("http://odd.wild.test:443/").status == 503


def test_tls_is_passed_through_by_its_server_name(space: Space, outside: Outside) -> None:
    outside.open("web", "wild")
    space.apply(external("echo.test", ports=["TLS:443"]))
    ca = space.authority()
    said = space.call("https://echo.test/", "--cacert", ca).json()
    assert (said["sni"], said["scheme"]) == ("echo.test", "https")
    address = space.exec("getent", "ahosts", "echo.test").split()[0]
    before = len(outside.internet.canary())
    # The same address, another server name.
    other = space.call(
        "https://a.wild.test/", "--cacert", ca, "--resolve", f"a.wild.test:443:{address}"
    )
    assert (other.status, outside.seen(before, "tls", "wild")) == (0, [])
    # What is no TLS is refused, and so is another port.
    assert space.call("http://echo.test:443/").status in (0, 403)
    assert space.call("http://echo.test/").status in (0, 403)
    assert not outside.seen(before, "request", "web")


def test_grpc_with_tls(space: Space, outside: Outside) -> None:
    outside.open("grpc")
    space.apply(external("grpc.test", ports=[{"port": 50052, "protocol": "GRPC", "tls": {}}]))
    said = space.grpc("grpc.test:50052", "Chat", *"abc", x_a="b")
    assert (said["messages"], said["code"]) == ([*"abc"], "OK")
    assert json.loads(dict(said["trailing"])["x-seen"])["x-a"] == "b"


def test_websocket_with_tls(space: Space, outside: Outside) -> None:
    outside.open("web", "h2")
    space.apply(
        external("ws.test", ports=["HTTPS:80:443"]),
        external("h2.test", ports=["HTTPS:80:443"]),
    )
    assert space.websocket("http://ws.test/ws", "hello")["received"] == ["hello"]
    assert space.websocket("http://h2.test/", "hello")["received"] == ["hello"]


@pytest.mark.usefixtures("postgres")
def test_postgresql_by_its_host(space: Space) -> None:
    space.apply(external("postgres.test", ports=["TCP:5432"]))
    place = "host=postgres.test user=app password=secret dbname=postgres sslmode=verify-full"
    place += f" sslrootcert={space.authority()}"
    many = "select sum(x) from generate_series(1, 100000) x"
    assert space.exec("psql", "-At", place, "-c", many) == "5000050000\n"


@pytest.mark.usefixtures("redis")
def test_redis_by_its_host_with_and_without_tls(space: Space) -> None:
    space.apply(
        external("redis.test", ports=["TCP:6379", {"port": 6380, "protocol": "TCP", "tls": {}}])
    )
    assert space.exec("redis-cli", "-h", "redis.test", "set", "a", "b") == "OK\n"
    # The egress opens TLS: the application speaks without.
    assert space.exec("redis-cli", "-h", "redis.test", "-p", "6380", "get", "a") == "b\n"


def test_a_server_that_speaks_first_by_its_host(space: Space, outside: Outside) -> None:
    outside.open("tls-banner")
    space.apply(
        external("banner.test", ports=["TCP:7778"]),
        external("tls.test", ports=[{"port": 7780, "protocol": "TCP", "tls": {}}]),
    )
    said = space.tcp("banner.test", 7778, "hello", greeting=23)
    assert said["received"] == ["220 banner.test ready\r\n", "hello"]
    said = space.tcp("tls.test", 7780, "hello", greeting=20)
    assert said["received"] == ["220 tls.test ready\r\n", "hello"]


@pytest.mark.parametrize("source", ["secret", "files"])
def test_a_client_certificate(space: Space, outside: Outside, source: str) -> None:
    outside.open("mtls", "mtls-echo")
    alice, bob = (outside.client_certificate(each) for each in ("alice", "bob"))
    if source == "secret":
        space.apply(tls_secret("mine", alice))
        certificate: dict[str, Any] = {"secretRef": {"name": "mine"}}
    else:
        pair = Pair(space.mesh.folder / "client.pem", space.mesh.folder / "client.key")
        copy(alice, pair)
        certificate = {"certificateFile": str(pair.certificate), "keyFile": str(pair.key)}
    tls = {"clientCertificate": certificate}
    space.apply(
        external(
            "mtls.test",
            ports=[
                {"port": 80, "targetPort": 443, "protocol": "HTTP", "tls": tls},
                {"port": 7781, "protocol": "TCP", "tls": tls},
            ],
        )
    )
    said = space.call("http://mtls.test/").json()
    assert (said["subject"], said["scheme"]) == ("alice", "https")
    assert space.tcp("mtls.test", 7781, "hello", greeting=7)["received"] == ["alice\r\n", "hello"]
    if source == "secret":
        space.apply(tls_secret("mine", bob))
    else:
        copy(bob, pair)
    # New connections show the new one; those that are open stay.
    assert until(lambda: space.tcp("mtls.test", 7781, greeting=5)["received"] == ["bob\r\n"])


def copy(pair: Pair, to: Pair) -> None:
    """As whoever renews certificates does: each file is there whole, the key first."""
    for source, target in ((pair.key, to.key), (pair.certificate, to.certificate)):
        new = target.with_suffix(".new")
        shutil.copy(source, new)
        new.rename(target)


def only(host: str, path: str) -> str:
    how = [{"paths": [{"exact": path}]}]
    return policy("only-" + path.rpartition("/")[2].lower(), {"to": [{"host": host}], "http": how})


def test_policies_decide_about_a_websocket_too(space: Space, outside: Outside) -> None:
    outside.open("web")
    space.apply(external("ws.test", ports=["HTTP:80"]))
    space.apply(only("ws.test", "/other"))
    denied = space.websocket("http://ws.test/ws", "hello")
    assert (denied["status"], denied["received"]) == (403, [])
    space.apply(only("ws.test", "/ws"))
    assert space.websocket("http://ws.test/ws", "hello")["received"] == ["hello"]


def test_policies_decide_about_methods_of_grpc(space: Space, outside: Outside) -> None:
    outside.open("grpc")
    space.apply(external("grpc.test", ports=["GRPC:50051"]))
    space.apply(only("grpc.test", "/test.Echo/Chat"))
    assert space.grpc("grpc.test:50051", "Chat", "a", "b")["messages"] == ["a", "b"]
    denied = space.grpc("grpc.test:50051", "Unary", "a")
    assert (denied["code"], denied["messages"]) == ("PERMISSION_DENIED", [])


def test_grpc_beyond_a_limit_is_denied_also_in_the_log(space: Space, outside: Outside) -> None:
    outside.open("grpc")
    space.apply(external("grpc.test", ports=["GRPC:50051"]))
    limit = {"requests": 1, "per": "60s", "share": "All"}
    space.apply(policy("p", {"to": [{"host": "grpc.test"}], "rateLimit": limit}))
    assert space.grpc("grpc.test:50051", "Unary", "a")["messages"] == ["a"]
    assert space.grpc("grpc.test:50051", "Unary", "a")["code"] == "UNAVAILABLE"
    # Envoy answers such a call with 200, and a status in the trailers.
    denied = space.line(decision="denied")
    assert (denied["details"], denied["reason"]) == (
        "ext_authz_denied",
        "egresspolicy/p/rule-1 (1 per 60s for all)",
    )
