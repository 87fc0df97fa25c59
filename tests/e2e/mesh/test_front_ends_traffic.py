"""What routes and DestinationRules say of calls, shown the same way for each thing that they can be said of."""

from typing import Any

import pytest
from tests.e2e.mesh.saying import entry, external, route, routes, rule, service, xbackend
from tests.e2e.mesh.spaces import Space
from tests.outside.calling import Answer, until
from tests.outside.control import Outside

pytestmark = [pytest.mark.root, pytest.mark.envoy]

each_route = pytest.mark.parametrize("kind", ["HTTPRoute", "VirtualService"])
each_host = pytest.mark.parametrize("kind", ["ServiceEntry", "Service"])
each_of_all = pytest.mark.parametrize("kind", ["ExternalService", "ServiceEntry", "Service"])
ECHO = service("echo", "echo.test")
BACKEND = "backendRefs: [{name: echo, port: 80}]"


def led(http: str, virtual: Any, kind: str) -> tuple[str, str]:
    """Return the Service `echo`, and of two ways to say the same of it the one that is asked for."""
    return ECHO, route(http) if kind == "HTTPRoute" else routes(virtual, hosts=("echo",))


@each_route
def test_what_fails_is_tried_again(space: Space, outside: Outside, kind: str) -> None:
    outside.open("web")
    retry = f"  - {{{BACKEND}, retry: {{codes: [503], attempts: 2, backoff: 1ms}}}}"
    again = {"retries": {"attempts": 2, "retryOn": "503", "backoff": "1ms"}}
    space.apply(*led(retry, again, kind))
    before = len(outside.internet.canary())
    outside.behave("web", statuses=(503, 503), path="/again")
    assert space.call("http://echo/again").status == 200
    assert len(outside.seen(before, "request", "web")) == 3
    outside.behave("web", statuses=(503, 503, 503), path="/again")
    assert space.call("http://echo/again").status == 503
    outside.behave("web")


@each_route
def test_an_attempt_has_its_time(space: Space, outside: Outside, kind: str) -> None:
    outside.open("web")
    times = "timeouts: {request: 5s, backendRequest: 500ms}"
    retry = f"  - {{{BACKEND}, retry: {{codes: [504], attempts: 1}}, {times}}}"
    each = {"attempts": 1, "perTryTimeout": "0.5s", "retryOn": "gateway-error"}
    space.apply(*led(retry, {"timeout": "5s", "retries": each}, kind))
    before = len(outside.internet.canary())
    said = space.call("http://echo/?delay=3")
    assert (said.status, 1 <= said.seconds < 3) == (504, True)
    assert len(outside.seen(before, "request", "web")) == 2


@each_route
def test_copies_go_to_a_mirror(space: Space, outside: Outside, kind: str) -> None:
    outside.open("web", "many-a")
    mirror = f"""
  - {BACKEND}
    filters: [{{type: RequestMirror, requestMirror: {{backendRef: {{name: copy, port: 80}}}}}}]
"""
    copied = {"mirror": {"host": "copy"}, "mirrorPercentage": {"value": 100}}
    space.apply(service("copy", "a.many.test"), *led(mirror, copied, kind))
    before = len(outside.internet.canary())
    assert space.call("http://echo/copied").json()["server"] == "web"
    assert until(lambda: bool(outside.seen(before, "request", "many-a")))
    assert outside.seen(before, "request", "many-a")[0]["path"] == "/copied"


def test_faults_of_a_service(space: Space, outside: Outside) -> None:
    outside.open("web")
    always = {"percentage": {"value": 100}}
    jason = {"headers": {"end-user": {"exact": "jason"}}}
    aborted = {"match": [jason], "fault": {"abort": {"httpStatus": 418, **always}}}
    slow = {"fault": {"delay": {"fixedDelay": "0.5s", **always}}}
    space.apply(ECHO, routes(aborted, slow, hosts=("echo",)))
    assert space.call("http://echo/", "-H", "end-user: jason").status == 418
    said = space.call("http://echo/")
    assert (said.status, said.seconds >= 0.5) == (200, True)


def test_a_route_of_an_xbackend(space: Space, outside: Outside) -> None:
    """Routes are for XBackends as for Services."""
    outside.open("web")
    rules = """
  - matches: [{path: {value: /v1}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /v2}}}]
    backendRefs: [{group: gateway.networking.x-k8s.io, kind: XBackend, name: echo}]
    timeouts: {request: 500ms}
"""
    parent = "{group: gateway.networking.x-k8s.io, kind: XBackend, name: echo}"
    made = route(rules).replace('{kind: Service, group: "", name: echo}', parent)
    plain = "  protocol: HTTP\n  tls: {mode: None}"
    space.apply(xbackend("echo", "echo.test", 80, plain), made)
    assert space.call("http://echo.test/v1/x").json()["path"] == "/v2/x"
    assert space.call("http://echo.test/v1/x?delay=2").status == 504
    assert space.call("http://echo.test/other").status == 404


def tuned(kind: str, host: str, policy: Any, said: Any = None) -> tuple[str, ...]:
    """Return what declares a host with this DestinationRule, or what an ExternalService says instead; last its URL."""
    if kind == "ExternalService":
        return external(host, **said), f"http://{host}/"
    if kind == "ServiceEntry":
        return entry(host, "80/HTTP"), rule(host, policy), f"http://{host}/"
    name = host.partition(".")[0]
    return service(name, host), rule(name, policy), f"http://{name}/"


@each_of_all
def test_all_addresses_have_their_turn(space: Space, outside: Outside, kind: str) -> None:
    outside.open("many-a", "many-b", "many-c")
    for algorithm in ("ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"):
        native = {"loadBalancing": {"algorithm": algorithm.title().replace("_", "")}}
        simple = {"loadBalancer": {"simple": algorithm}}
        *manifests, url = tuned(kind, "many.test", simple, native)
        space.apply(*manifests)
        asked = [space.call(url).json()["server"] for _ in range(24)]
        assert set(asked) == {"many-a", "many-b", "many-c"}, algorithm


@each_host
def test_a_ring_and_outliers(space: Space, outside: Outside, kind: str) -> None:
    outside.open("many-a", "many-b", "many-c")
    detection = {
        "consecutive5xxErrors": 1,
        "interval": "1s",
        "baseEjectionTime": "60s",
        "maxEjectionPercent": 100,
    }
    ring = {"consistentHash": {"httpHeaderName": "x-user"}}
    policy = {"loadBalancer": ring, "outlierDetection": detection}
    *manifests, url = tuned(kind, "many.test", policy)
    space.apply(*manifests)

    def ask(user: str = "me") -> Answer:
        return space.call(url, "-H", f"x-user: {user}")

    server = ask().json()["server"]
    assert {ask().json()["server"] for _ in range(5)} == {server}
    assert len({ask(str(user)).json()["server"] for user in range(9)}) > 1
    outside.behave(server, status=500)
    assert ask().status == 500
    assert ask().json()["server"] != server
    outside.behave(server)


RINGS: dict[str, tuple[Any, Any]] = {
    "cookie": (
        {"cookie": {"name": "c", "ttl": "60s"}},
        {"httpCookie": {"name": "c", "ttl": "60s"}},
    ),
    "query": ({"query": "user"}, {"httpQueryParameterName": "user"}),
    "pod": ({"source": "Pod"}, {"useSourceIp": True}),
}


@each_of_all
def test_a_ring_by_other_keys(space: Space, outside: Outside, kind: str) -> None:
    outside.open("many-a", "many-b", "many-c")
    for key, (own, istio) in RINGS.items():
        native = {"loadBalancing": {"algorithm": "RingHash", "hashOn": [own]}}
        ring = {"loadBalancer": {"consistentHash": istio}}
        *manifests, url = tuned(kind, "many.test", ring, native)
        space.apply(*manifests)
        found = [servers(space, url, str(user)) for user in range(6)]
        assert {len(each) for each in found} == {1}, key
        assert (len(set.union(*found)) == 1) == (key == "pod"), key
        assert space.call(url).header("set-cookie").startswith("c=") == (key == "cookie")


def servers(space: Space, url: str, user: str) -> set[str]:
    asked = [space.call(f"{url}?user={user}", "-H", f"cookie: c={user}") for _ in range(3)]
    return {each.json()["server"] for each in asked}


@each_host
def test_circuit_breakers(space: Space, outside: Outside, kind: str) -> None:
    outside.open("web")
    pool = {
        "tcp": {"maxConnections": 1},
        "http": {"http1MaxPendingRequests": 1, "http2MaxRequests": 1},
    }
    *manifests, url = tuned(kind, "echo.test", {"connectionPool": pool})
    space.apply(*manifests)
    asked = f"curl -s -o /dev/null -w '%{{http_code}} ' '{url}?delay=1' & "
    said = space.exec("sh", "-c", asked * 5 + "wait").split()
    assert sorted(set(said)) == ["200", "503"]


@each_of_all
def test_retries_have_a_budget(space: Space, outside: Outside, kind: str) -> None:
    outside.open("web")
    native = {
        "circuitBreaker": {"retryBudgetPercent": 10, "maxRetries": 1},
        "retries": {"attempts": 2, "statuses": [503], "backoff": {"base": "1ms"}},
    }
    budget = {"retryBudget": {"percent": 10}, "connectionPool": {"http": {"maxRetries": 1}}}
    again = {"retries": {"attempts": 2, "retryOn": "503", "backoff": "1ms"}}
    *manifests, url = tuned(kind, "echo.test", budget, native)
    if kind != "ExternalService":
        manifests.append(routes(again, hosts=("echo.test" if kind == "ServiceEntry" else "echo",)))
    space.apply(*manifests)
    before = len(outside.internet.canary())
    outside.behave("web", status=503, delay=1)
    asked = f"curl -s -o /dev/null '{url}' & "
    space.exec("sh", "-c", asked * 6 + "wait")
    outside.behave("web")
    # All of them twice again would be 18.
    assert 6 < len(outside.seen(before, "request", "web")) <= 12


@each_of_all
def test_connections_are_reused_only_so_often(space: Space, outside: Outside, kind: str) -> None:
    outside.open("web")
    one = {"http": {"maxRequestsPerConnection": 1}}
    policy = {"tls": {"mode": "SIMPLE", "sni": "echo.test"}, "connectionPool": one}
    manifests = {
        "ExternalService": (
            external(
                "echo.test",
                ports=["HTTPS:443"],
                connection={"maxRequestsPerConnection": 1},
            ),
        ),
        "ServiceEntry": (entry("echo.test", "443/HTTP"), rule("echo.test", policy)),
        "Service": (service("echo", "echo.test", http=443), rule("echo", policy)),
    }[kind]
    space.apply(*manifests)
    url = "http://echo:443/" if kind == "Service" else "http://echo.test:443/"
    before = len(outside.internet.canary())
    assert [space.call(url).status for _ in range(6)] == [200] * 6
    assert until(lambda: len(outside.seen(before, "tls", "web")) >= 6)


@each_of_all
def test_so_many_streams_on_a_connection(space: Space, outside: Outside, kind: str) -> None:
    outside.open("h2")
    streams = {"http": {"maxConcurrentStreams": 1}}
    policy = {"tls": {"mode": "SIMPLE", "sni": "h2.test"}, "connectionPool": streams}
    one = {"http2": {"maxConcurrentStreams": 1}}
    port = {"port": 443, "protocol": "HTTP2", "tls": {}}
    manifests = {
        "ExternalService": (external("h2.test", ports=[port], connection=one),),
        "ServiceEntry": (entry("h2.test", "443/HTTP2"), rule("h2.test", policy)),
        "Service": (service("h2", "h2.test", http2=443), rule("h2", policy)),
    }[kind]
    space.apply(*manifests)
    url = "http://h2:443/?delay=1" if kind == "Service" else "http://h2.test:443/?delay=1"
    before = len(outside.internet.canary())
    asked = f"curl -s -o /dev/null -w '%{{http_code}} ' '{url}' & "
    assert space.exec("sh", "-c", asked * 5 + "wait").split() == ["200"] * 5
    # One would do for all of them.
    assert until(lambda: len(outside.seen(before, "tls", "h2")) == 5)
