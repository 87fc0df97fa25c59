"""What each front end can declare, shown the same way for each: XBackends, ServiceEntries and Services."""

import base64
import http.server
import ipaddress
import json
import os
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.mesh.saying import entry, external, policy, rule, service, tls, xbackend
from tests.e2e.mesh.spaces import Space, Spaces
from tests.outside.calling import tls_secret, until
from tests.outside.control import Outside

pytestmark = [pytest.mark.root, pytest.mark.envoy]

each_front_end = pytest.mark.parametrize("kind", ["XBackend", "ServiceEntry", "Service"])


def declared(kind: str, host: str, port: int, protocol: str) -> tuple[str, str]:
    """Return the manifest that declares a host, and what applications call."""
    name = host.removesuffix(".test").replace(".", "-")
    if kind == "XBackend":
        rest = f"  protocol: {protocol}\n  tls: {{mode: None}}"
        return xbackend(name, host, port, rest), host
    if kind == "ServiceEntry":
        return entry(host, f"{port}/{protocol}"), host
    return service(name, host, **{protocol.lower(): port}), name


@each_front_end
def test_http2(space: Space, outside: Outside, kind: str) -> None:
    outside.open("h2")
    manifest, name = declared(kind, "h2.test", 80, "HTTP2")
    space.apply(manifest)
    for flags in ((), ("--http2-prior-knowledge",)):
        said = space.call(f"http://{name}/", *flags)
        assert (said.status, said.json()["http"]) == (200, "2")


@each_front_end
def test_grpc(space: Space, outside: Outside, kind: str) -> None:
    outside.open("grpc")
    manifest, name = declared(kind, "grpc.test", 50051, "GRPC")
    space.apply(manifest)
    said = space.grpc(f"{name}:50051", "Chat", *"abc", x_a="b")
    assert (said["messages"], said["code"]) == ([*"abc"], "OK")
    assert json.loads(dict(said["trailing"])["x-seen"])["x-a"] == "b"
    assert space.grpc(f"{name}:50051", "Unary", "", x_status="7")["code"] == "PERMISSION_DENIED"


@each_front_end
def test_websocket(space: Space, outside: Outside, kind: str) -> None:
    outside.open("web")
    manifest, name = declared(kind, "ws.test", 80, "HTTP")
    space.apply(manifest)
    said = space.websocket(f"http://{name}/ws", "hello", "bye", protocols=["echo"])
    assert (said["received"], said["protocol"]) == (["hello", "bye"], "echo")


@each_front_end
@pytest.mark.usefixtures("postgres", "redis")
def test_databases(space: Space, kind: str) -> None:
    first, database = declared(kind, "postgres.test", 5432, "TCP")
    second, cache = declared(kind, "redis.test", 6379, "TCP")
    space.apply(first, second)
    place = f"host={database} user=app password=secret dbname=postgres"
    assert space.exec("psql", "-At", place, "-c", "select 6*7") == "42\n"
    assert space.exec("redis-cli", "-h", cache, "set", "a", "b") == "OK\n"


@each_front_end
def test_a_server_that_speaks_first(space: Space, kind: str) -> None:
    manifest, name = declared(kind, "banner.test", 7778, "TCP")
    space.apply(manifest)
    said = space.tcp(name, 7778, "hello", greeting=23)
    assert said["received"] == ["220 banner.test ready\r\n", "hello"]


@each_front_end
def test_two_plain_tcp_services_on_one_port(space: Space, outside: Outside, kind: str) -> None:
    outside.open("many-a", "many-b")
    first, one = declared(kind, "a.many.test", 80, "TCP")
    second, other = declared(kind, "b.many.test", 80, "TCP")
    space.apply(first, second)
    # What they are asked is HTTP; to the egress these are bytes.
    assert space.call(f"http://{one}/").json()["server"] == "many-a"
    assert space.call(f"http://{other}/").json()["server"] == "many-b"
    said = space.mesh.log(lambda line: line["namespace"] == space.namespace)
    assert (said["protocol"], said["decision"]) == ("tcp", "allowed")


TLS_POLICY = """
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: tls}
spec:
  targetRefs: [{group: "", kind: Service, name: tls}]
  validation: {hostname: tls.test, wellKnownCACertificates: System}
"""


@pytest.mark.parametrize(
    "kind", ["XBackend", "ServiceEntry", "Service", "Service with DestinationRule"]
)
def test_tls_is_opened_for_plain_tcp(space: Space, outside: Outside, kind: str) -> None:
    outside.open("tls-echo")
    simple = {"tls": {"mode": "SIMPLE", "sni": "tls.test"}}
    plain, name = declared(kind.partition(" ")[0], "tls.test", 7779, "TCP")
    manifests = {
        "XBackend": (xbackend("tls", "tls.test", 7779, tls("tls.test").replace("HTTP", "TCP")),),
        "ServiceEntry": (plain, rule("tls.test", simple)),
        "Service": (plain, TLS_POLICY),
        "Service with DestinationRule": (plain, rule("tls", simple)),
    }
    space.apply(*manifests[kind])
    assert space.tcp(name, 7779, "hello")["received"] == ["hello"]


def test_a_client_certificate_for_a_service(space: Space, outside: Outside) -> None:
    outside.open("mtls")
    space.apply(service("mtls", "mtls.test", https=443))
    assert space.call("http://mtls:443/").status == 503
    mutual = {"mode": "MUTUAL", "credentialName": "client"}
    pair = outside.client_certificate("front-ends")
    # Istio has whom to believe in the same Secret.
    secret = json.loads(tls_secret("client", pair))
    secret["data"]["ca.crt"] = base64.b64encode(outside.ca.encode()).decode()
    space.apply(json.dumps(secret), rule("mtls", {"tls": mutual}))
    assert until(lambda: space.call("http://mtls:443/").status == 200)
    assert space.call("http://mtls:443/").json()["subject"] == "front-ends"


@each_front_end
def test_the_name_that_a_certificate_must_have(space: Space, outside: Outside, kind: str) -> None:
    outside.open("web")

    def status(name: str) -> int:
        also = f"subjectAltNames: [{{type: Hostname, hostname: {name}}}], wellKnown"
        istio = {"mode": "SIMPLE", "sni": "echo.test", "subjectAltNames": [name]}
        manifests = {
            "XBackend": (
                xbackend("echo", "echo.test", 443, tls("echo.test").replace("wellKnown", also)),
            ),
            "ServiceEntry": (entry("echo.test", "443/HTTP"), rule("echo.test", {"tls": istio})),
            "Service": (
                service("tls", "echo.test", http=443),
                TLS_POLICY.replace("tls.test", "echo.test").replace("wellKnown", also),
            ),
        }
        space.apply(*manifests[kind])
        return space.call(f"http://{'tls' if kind == 'Service' else 'echo.test'}:443/").status

    assert status("echo.test") == 200
    assert status("else.test") == 503


@pytest.mark.parametrize("kind", ["ExternalService", "ServiceEntry"])
def test_several_hosts(space: Space, outside: Outside, kind: str) -> None:
    outside.open("web")
    hosts = ["echo.test", "ws.test"]
    said = entry("x", "80/HTTP", hosts=hosts)
    space.apply(said if kind == "ServiceEntry" else external(*hosts))
    assert [space.call(f"http://{each}/").json()["host"] for each in hosts] == hosts


@pytest.mark.parametrize("kind", ["XBackend", "ServiceEntry"])
def test_of_two_that_declare_a_host_the_older_counts(
    space: Space, outside: Outside, kind: str
) -> None:
    outside.open("web", "many-a")
    space.apply(external("echo.test", endpoints=[{"address": "a.many.test"}]))
    space.apply(declared(kind, "echo.test", 80, "HTTP")[0])
    assert space.call("http://echo.test/").json()["server"] == "many-a"
    name = "echo" if kind == "XBackend" else "echo-test"
    said = space.mesh.outgate("describe", kind.lower(), name, "-n", space.namespace)
    assert "externalservice/echo-test" in said, said


def test_several_ports_of_a_service_entry(space: Space, outside: Outside) -> None:
    outside.open("web")
    space.apply(entry("echo.test", "80/HTTP", "443/HTTPS", "7777/TCP"))
    assert space.call("http://echo.test/").json()["scheme"] == "http"
    assert space.call("https://echo.test/", "-k").json()["scheme"] == "https"
    assert space.tcp("echo.test", 7777, "hello")["received"] == ["hello"]


@each_front_end
def test_each_namespace_has_its_own(spaces: Spaces, outside: Outside, kind: str) -> None:
    outside.open("web", "many-a", "many-b")
    one, other, third = spaces(), spaces(), spaces()
    plain = declared("XBackend", "echo.test", 80, "HTTP")[0]
    own = {
        "XBackend": (xbackend("echo", "echo.test", 443, tls("echo.test")), plain),
        "ServiceEntry": (led("a.many.test"), led("b.many.test")),
        "Service": (service("echo", "a.many.test"), service("echo", "b.many.test")),
    }[kind]
    for space, manifest in zip((one, other), own, strict=True):
        space.apply(manifest)
    url = "http://echo/" if kind == "Service" else "http://echo.test/"
    found = [each.call(url).json() for each in (one, other)]
    assert found[0]["scheme" if kind == "XBackend" else "server"] in ("https", "many-a")
    assert found[1]["scheme" if kind == "XBackend" else "server"] in ("http", "many-b")
    assert third.call(url).status in (0, 403)


def led(host: str) -> str:
    return entry("echo.test", "80/HTTP", endpoints=[{"address": host}])


def test_networks_of_a_service_entry(space: Space, outside: Outside) -> None:
    outside.open("web")
    address = outside.internet.plan.records()["tcp.test", "A"][0]
    network = str(ipaddress.ip_network(f"{address}/28", strict=False))
    ports = ("80/HTTP", "443/TLS", "7777/TCP")
    space.apply(entry("far.test", *ports, addresses=[network], resolution="NONE"))
    assert space.call(f"http://{address}/").seen["host"] == [address]
    assert space.call(f"https://{address}/", "-k").json()["scheme"] == "https"
    assert space.tcp(address, 7777, "hello")["received"] == ["hello"]
    assert space.call(f"http://{address}:81/").status == 403


@pytest.mark.parametrize("kind", ["ExternalService", "ServiceEntry"])
def test_endpoints_share_by_weight(space: Space, outside: Outside, kind: str) -> None:
    outside.open("many-a", "many-b")
    endpoints = [
        {"address": "a.many.test", "locality": "eu/one/x", "weight": 1},
        {"address": "b.many.test", "locality": "us/two/x", "weight": 4},
    ]
    if kind == "ServiceEntry":
        space.apply(entry("many.test", "80/HTTP", endpoints=endpoints))
    else:
        space.apply(external("many.test", endpoints=endpoints))
    found = Counter(space.call("http://many.test/").json()["server"] for _ in range(30))
    assert found["many-b"] > 2 * found["many-a"] > 0


class _Inside(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def inside() -> Iterator[tuple[str, int]]:
    """A private address of this machine, and a port there."""
    address = f"10.213.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
    place = (f"{address}/32", "dev", "lo")
    subprocess.run(["ip", "address", "add", *place], check=True)
    try:
        with http.server.ThreadingHTTPServer((address, 0), _Inside) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield address, server.server_address[1]
            server.shutdown()
    finally:
        subprocess.run(["ip", "address", "del", *place], check=True)


def test_a_private_address_that_a_service_entry_writes_out(
    space: Space, outside: Outside, inside: tuple[str, int]
) -> None:
    address, port = inside
    outside.internet.set_record("inside.test", "A", [address])
    space.apply(entry("inside.test", f"{port}/HTTP"))
    url = f"http://inside.test:{port}/"
    assert space.call(url).status == 503
    endpoints = [{"address": address}]
    space.apply(entry("inside.test", f"{port}/HTTP", resolution="STATIC", endpoints=endpoints))
    assert space.call(url).status == 204


@each_front_end
def test_a_policy_speaks_of_it(space: Space, outside: Outside, kind: str) -> None:
    outside.open("web")
    first, name = declared(kind, "echo.test", 80, "HTTP")
    second, other = declared(kind, "ws.test", 80, "HTTP")
    to = {"service": name} if kind == "Service" else {"host": name}
    readers = policy("readers", {"to": [to], "http": [{"methods": ["GET"]}]})
    space.apply(first, second, readers)
    assert space.call(f"http://{name}/").status == 200
    denied = space.call(f"http://{name}/", "-d", "x")
    assert (denied.status, "EgressPolicy" in denied.body) == (403, True)
    assert space.call(f"http://{other}/").status == 403
