"""The Gateway API on one machine, with real calls: routes of Services and XBackends, TLS by policies, references."""

import json

import pytest
from tests.e2e.mesh.saying import manifest, route, service, tls, xbackend
from tests.e2e.mesh.spaces import Space, Spaces
from tests.outside.calling import tls_secret
from tests.outside.control import Outside

pytestmark = [pytest.mark.root, pytest.mark.envoy]


RULES = """
  - matches: [{path: {value: /v1}}]
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: X-Set, value: a}], add: [{name: X-Add, value: b}], remove: [x-gone]}
    - type: ResponseHeaderModifier
      responseHeaderModifier: {set: [{name: X-Answer, value: c}]}
    - type: URLRewrite
      urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /v2}}
    backendRefs: [{name: echo, port: 80}]
  - matches: [{path: {type: Exact, value: /old}}]
    filters:
    - type: RequestRedirect
      requestRedirect: {hostname: new.test, path: {type: ReplaceFullPath, replaceFullPath: /new}, statusCode: 301}
  - matches: [{headers: [{name: X-Which, value: second}], method: POST, queryParams: [{name: q, value: "1"}]}]
    backendRefs: [{name: second, port: 80}]
  - matches: [{path: {value: /broken}}]
    backendRefs: [{name: nothing, port: 80}]
  - matches: [{path: {value: /unsupported}}]
    filters: [{type: ExtensionRef, extensionRef: {group: example.com, kind: X, name: x}}]
    backendRefs: [{name: echo, port: 80}]
"""


def test_matches_and_filters(space: Space, outside: Outside) -> None:
    outside.open("web")
    space.apply(service("echo", "echo.test"), service("second", "ws.test"), route(RULES))
    said = space.call("http://echo/v1/x", "-H", "X-Gone: 1")
    assert (said.status, said.json()["path"]) == (200, "/v2/x")
    assert (said.seen["x-set"], said.seen["x-add"]) == (["a"], ["b"])
    assert "x-gone" not in said.seen
    assert said.header("x-answer") == "c"
    moved = space.call("http://echo/old")
    assert (moved.status, moved.header("location")) == (301, "http://new.test/new")
    second = space.call("http://echo/?q=1", "-d", "x", "-H", "X-Which: second")
    assert second.seen["host"] == ["ws.test"]
    # What matches nothing, what leads nowhere, and what cannot be done, as specified.
    assert space.call("http://echo/other").status == 404
    assert space.call("http://echo/v11").status == 404
    assert space.call("http://echo/broken").status == 500
    assert space.call("http://echo/unsupported").status == 500


def test_the_more_specific_match_counts(space: Space, outside: Outside) -> None:
    outside.open("web")
    rules = """
  - matches: [{path: {value: /}}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Rule, value: any}]}}]
    backendRefs: [{name: echo, port: 80}]
  - matches: [{path: {value: /a}}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Rule, value: prefix}]}}]
    backendRefs: [{name: echo, port: 80}]
"""
    exact = """
  - matches: [{path: {type: Exact, value: /a/b}}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Rule, value: exact}]}}]
    backendRefs: [{name: echo, port: 80}]
"""
    space.apply(service("echo", "echo.test"), route(rules), route(exact, name="z"))
    seen = {path: space.call(f"http://echo{path}").seen["x-rule"] for path in ("/", "/a/x", "/a/b")}
    assert seen == {"/": ["any"], "/a/x": ["prefix"], "/a/b": ["exact"]}


def test_shares(space: Space, outside: Outside) -> None:
    outside.open("web")
    rules = """
  - backendRefs:
    - {name: echo, port: 80, weight: 1}
    - {name: second, port: 80, weight: 1}
    - {name: second, port: 80, weight: 0}
"""
    space.apply(service("echo", "echo.test"), service("second", "ws.test"), route(rules))
    hosts = [space.call("http://echo/").seen["host"][0] for _ in range(30)]
    assert 5 < hosts.count("echo.test") < 25
    assert hosts.count("echo.test") + hosts.count("ws.test") == 30


def test_a_timeout(space: Space, outside: Outside) -> None:
    outside.open("web")
    rules = "  - {backendRefs: [{name: echo, port: 80}], timeouts: {request: 500ms}}"
    space.apply(service("echo", "echo.test"), route(rules))
    outside.behave("web", delay=3)
    said = space.call("http://echo/")
    assert (said.status, said.seconds < 2) == (504, True)
    outside.behave("web")


def test_an_xbackend_is_called_by_its_host(space: Space, spaces: Spaces, outside: Outside) -> None:
    outside.open("web")
    space.apply(xbackend("echo", "echo.test", 443, tls("echo.test")))
    for url in ("http://echo.test/", "http://echo.test:443/"):
        assert space.call(url).json()["scheme"] == "https"
    # It is its own namespace's.
    assert spaces().call("http://echo.test/").status != 200
    rules = "  - backendRefs: [{group: gateway.networking.x-k8s.io, kind: XBackend, name: echo, port: 443}]"
    space.apply(service("s", "ws.test"), route(rules, "s"))
    said = space.call("http://s/")
    assert (said.seen["host"], said.json()["scheme"]) == (["echo.test"], "https")
    space.delete("xbackend", "echo")
    assert space.call("http://echo.test/").status != 200
    assert space.call("http://s/").status == 500


def test_a_policy_opens_tls(space: Space, outside: Outside) -> None:
    outside.open("web")
    policy = """
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: tls}
spec:
  targetRefs: [{group: "", kind: Service, name: echo, sectionName: http}]
  validation: {hostname: HOST, wellKnownCACertificates: System}
"""
    space.apply(service("echo", "echo.test", http=443), policy.replace("HOST", "echo.test"))
    assert space.call("http://echo:443/").json()["scheme"] == "https"
    space.apply(policy.replace("HOST", "other.test"))
    assert space.call("http://echo:443/").status == 503


def test_a_policy_with_an_authority_of_its_own(space: Space, outside: Outside) -> None:
    outside.open("web")
    bundle = space.mesh.internet.ca_file.read_text()
    authority = manifest("v1", "ConfigMap", "ca", data={"ca.crt": bundle})
    policy = """
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: tls}
spec:
  targetRefs: [{group: "", kind: Service, name: echo}]
  validation: {hostname: echo.test, caCertificateRefs: [{group: "", kind: ConfigMap, name: NAME}]}
"""
    space.apply(authority, service("echo", "echo.test", http=443), policy.replace("NAME", "ca"))
    assert space.call("http://echo:443/").json()["scheme"] == "https"
    # Where there is no authority nothing is trusted.
    space.apply(policy.replace("NAME", "nothing"))
    assert space.call("http://echo:443/").status == 503


def test_an_xbackend_with_a_client_certificate(space: Space, outside: Outside) -> None:
    outside.open("mtls")
    pair = outside.client_certificate("gateway")
    mutual = tls("mtls.test").replace(
        "mode: ServerOnly", "mode: ClientAndServer, clientCertificateRef: {name: client}"
    )
    space.apply(tls_secret("client", pair), xbackend("mtls", "mtls.test", 443, mutual))
    said = space.call("http://mtls.test/")
    assert said.status == 200
    assert "gateway" in said.body


def test_grpc(space: Space, outside: Outside) -> None:
    outside.open("grpc")
    rules = """
  - matches: [{method: {service: test.Echo, method: Unary}, headers: [{name: x-a, value: b}]}]
    backendRefs: [{name: rpc, port: 50051}]
"""
    space.apply(service("rpc", "grpc.test", grpc=50051), route(rules, "rpc", "GRPCRoute"))
    said = space.grpc("rpc:50051", "Unary", "hello", x_a="b")
    assert (said["messages"], said["code"]) == (["hello"], "OK")
    assert space.grpc("rpc:50051", "Unary", "hello")["code"] == "UNIMPLEMENTED"
    space.apply(
        route(rules.replace("name: rpc", "name: gone"), "rpc", "GRPCRoute"),
    )
    assert space.grpc("rpc:50051", "Unary", "hello", x_a="b")["code"] == "UNAVAILABLE"


def test_tls_that_is_passed_through(space: Space, outside: Outside) -> None:
    outside.open("web", "h2")
    space.apply(xbackend("echo", "echo.test", 443), xbackend("h2", "h2.test", 443))
    assert space.call("https://echo.test/", "-k").json()["http"] == "1.1"
    rules = "  - backendRefs: [{group: gateway.networking.x-k8s.io, kind: XBackend, name: h2}]"
    led = route(rules, kind="TLSRoute").replace(
        '{kind: Service, group: "", name: echo}',
        "{group: gateway.networking.x-k8s.io, kind: XBackend, name: echo}",
    )
    space.apply(led.replace("  rules:", "  hostnames: [echo.test]\n  rules:"))
    assert space.call("https://echo.test/", "-k").json()["http"] == "2"
    space.delete("xbackend", "h2")
    assert space.call("https://echo.test/", "-k").status == 0


def test_tcp_by_shares(space: Space, outside: Outside) -> None:
    assert outside
    rules = "  - backendRefs: [{name: echo, port: 7777}, {name: banner, port: 7778}]"
    space.apply(
        service("echo", "tcp.test", tcp=7777),
        service("banner", "banner.test", tcp=7778),
        route(rules, kind="TCPRoute"),
    )
    # The one sends back what comes, the other speaks first: "220 banner.test ready".
    said = [space.tcp("echo", 7777, "hi")["received"][0] for _ in range(12)]
    assert set(said) == {"hi", "22"}
    space.apply(route("  - backendRefs: [{name: gone, port: 7777}]", kind="TCPRoute"))
    assert "hi" not in space.tcp("echo", 7777, "hi").get("received", [])


def test_another_namespace_must_agree(spaces: Spaces, outside: Outside) -> None:
    outside.open("web")
    one, other = spaces(), spaces()
    other.apply(xbackend("echo", "echo.test", 443, tls("echo.test")))
    rules = f"""
  - backendRefs:
    - {{group: gateway.networking.x-k8s.io, kind: XBackend, name: echo, namespace: {other.namespace}}}
"""
    said = one.apply(service("s", "ws.test"), route(rules, "s"))
    assert one.call("http://s/").status == 500
    other.apply(
        f"""
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {{name: g}}
spec:
  from: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: {one.namespace}}}]
  to: [{{group: gateway.networking.x-k8s.io, kind: XBackend, name: echo}}]
"""
    )
    assert one.call("http://s/").json()["scheme"] == "https"
    # For the route alone: nobody there may call it by its name.
    assert one.call("http://echo.test/").status != 200
    assert said


def test_a_consumers_route_is_for_its_own_callers(spaces: Spaces, outside: Outside) -> None:
    outside.open("web")
    producer, consumer, third = spaces(), spaces(), spaces()
    producer.apply(service("echo", "echo.test"))
    rule = """
  - filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-By, value: WHO}]}}]
    backendRefs: [{name: echo, namespace: NS, port: 80}]
""".replace("NS", producer.namespace)
    parent = f"echo, namespace: {producer.namespace}"
    consumer.apply(route(rule.replace("WHO", "consumer"), parent))
    producer.apply(route(rule.replace("WHO", "producer"), parent))
    url = f"http://echo.{producer.namespace}/"
    seen = [each.call(url).seen["x-by"] for each in (producer, consumer, third)]
    assert seen == [["producer"], ["consumer"], ["producer"]]


def test_what_has_become_of_it_is_in_its_status(space: Space, outside: Outside) -> None:
    outside.open("web")
    rules = "  - backendRefs: [{name: echo, port: 80}, {name: gone, port: 80}]"
    space.apply(service("echo", "echo.test"), route(rules))
    words = ("get", "httproute", "r", "-n", space.namespace, "-o", "json")
    status = json.loads(space.mesh.outgate(*words))["status"]
    (parent,) = status["parents"]
    assert parent["parentRef"] == {"group": "", "kind": "Service", "name": "echo"}
    assert parent["controllerName"] == "outgate.dev/egress"
    found = {each["type"]: f"{each['status']}/{each['reason']}" for each in parent["conditions"]}
    assert found == {
        "Accepted": "True/Accepted",
        "ResolvedRefs": "False/BackendNotFound",
        "Programmed": "True/Programmed",
    }
    said = space.mesh.outgate("describe", "httproute", "r", "-n", space.namespace)
    assert "service/echo: ResolvedRefs=False (BackendNotFound)" in said
