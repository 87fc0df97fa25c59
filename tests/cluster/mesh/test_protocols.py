"""What is spoken over a declared name, as it arrives outside: the small set of tests/e2e/mesh/test_protocols.py."""

import json
from collections.abc import Iterator

import pytest
from tests.cluster.mesh.apps import App, external, service
from tests.cluster.mesh.asking import start
from tests.cluster.mesh.conftest import SYSTEM, Mesh
from tests.cluster.mesh.operating import programmed
from tests.outside import databases
from tests.outside.calling import tls_secret, until
from tests.outside.control import Outside

pytestmark = pytest.mark.cluster


OPENED = ("web", "h2", "grpc", "tls-echo", "mtls", "mtls-echo")
SERVICES = {
    "echo": service("echo", "ws.test", http=80),
    "h2": service("h2", "h2.test", http2=80, https=443),
    "rpc": service("rpc", "grpc.test", grpc=50051),
    "banner": service("banner", "banner.test", tcp=7778),
    "secret": service("secret", "tls.test", tcp=7779),
    "database": service("database", "postgres.test", tcp=5432),
    "cache": service("cache", "redis.test", tcp=6379),
}


@pytest.fixture(scope="module")
def outside(outside: Outside) -> Iterator[Outside]:
    outside.open(*OPENED)
    with databases.postgres(outside), databases.redis(outside):
        yield outside
    for each in OPENED:
        outside.internet.pause(each)


@pytest.fixture(scope="module")
def app(mesh: Mesh, outside: Outside) -> Iterator[App]:
    assert outside
    with mesh.cluster.namespace() as name:
        mesh.cluster.apply(*SERVICES.values(), namespace=name)
        start(mesh, name, "app")
        programmed(mesh, name, *SERVICES)
        yield App(mesh, name)


def declare(app: App, name: str, host: str, *ports: str) -> None:
    """Have an ExternalService in effect."""
    app.mesh.cluster.apply(external(name, host, *ports), namespace=app.namespace)
    programmed(app.mesh, app.namespace, name)


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


def test_https_opened_and_tls_passed_through(app: App, outside: Outside) -> None:
    declare(
        app,
        "web",
        "echo.test",
        "name: http, port: 80, targetPort: 443, protocol: HTTPS",
        "name: tls, port: 443, protocol: TLS",
    )
    said = app.call("http://echo.test/x").json()
    assert (said["scheme"], said["sni"], said["host"]) == ("https", "echo.test", "echo.test")
    ca = app.file("ca.pem", outside.ca)
    assert app.call("https://echo.test/x", "--cacert", ca).json()["sni"] == "echo.test"
    address = app.inside("getent", "ahosts", "echo.test").split()[0]
    before = len(outside.internet.canary())
    flags = ("--cacert", ca, "--resolve", f"ws.test:443:{address}")
    assert app.call("https://ws.test/x", *flags).status == 0
    assert outside.seen(before, "tls", "web") == []


def test_a_client_certificate_from_a_secret(app: App, outside: Outside) -> None:
    # Nobody's Secrets are read who has not said so.
    app.mesh.shell(
        f"kubectl create rolebinding outgate -n {app.namespace} --clusterrole=outgate-materials"
        f" --serviceaccount={SYSTEM}:outgate-controller"
    )
    tls = "tls: {clientCertificate: {secretRef: {name: mine}}}"
    app.mesh.cluster.apply(
        tls_secret("mine", outside.client_certificate("alice")), namespace=app.namespace
    )
    declare(
        app,
        "mtls",
        "mtls.test",
        f"name: http, port: 80, targetPort: 443, protocol: HTTP, {tls}",
        f"name: raw, port: 7781, protocol: TCP, {tls}",
    )
    assert app.call("http://mtls.test/").json()["subject"] == "alice"
    assert app.tcp("mtls.test", 7781, "hello", greeting=7)["received"] == ["alice\r\n", "hello"]
    app.mesh.cluster.apply(
        tls_secret("mine", outside.client_certificate("bob")), namespace=app.namespace
    )
    assert until(lambda: app.tcp("mtls.test", 7781, greeting=5)["received"] == ["bob\r\n"])


def test_redis_over_tls_that_the_egress_opens(app: App) -> None:
    declare(app, "redis", "redis.test", "name: redis, port: 6380, protocol: TCP, tls: {}")
    assert app.inside("redis-cli", "-h", "redis.test", "-p", "6380", "ping") == "PONG\n"


def test_a_server_that_speaks_first_by_its_host(app: App) -> None:
    declare(app, "mysql", "banner.test", "name: mysql, port: 7778, protocol: TCP")
    assert app.tcp("banner.test", 7778, greeting=23)["received"] == ["220 banner.test ready\r\n"]
