"""Who may call what, how, how much and with which credential: seen from a pod, outside, and in the log."""

import socket
import time
from typing import Any

import pytest
from tests.e2e.mesh.saying import external, policy, secret, service
from tests.e2e.mesh.spaces import Space, Spaces
from tests.outside.calling import until
from tests.outside.control import Outside

pytestmark = [pytest.mark.root, pytest.mark.envoy]


ECHO, TWO = service("echo", "echo.test", http=80), service("ws", "ws.test", http=80)
TO_ECHO = [{"service": "echo"}]


@pytest.fixture(autouse=True)
def web(outside: Outside) -> None:
    outside.open("web")


def test_a_first_policy_denies_all_that_no_rule_allows(space: Space) -> None:
    space.apply(ECHO, TWO)
    assert space.call("http://echo/").status == space.call("http://ws/").status == 200
    space.apply(policy("readers", {"to": TO_ECHO}))
    assert space.call("http://echo/").status == 200
    space.line(service=f"echo.{space.namespace}", reason="egresspolicy/readers/rule-1")
    denied = space.call("http://ws/")
    assert denied.status == 403
    assert "no_rule_of_an_EgressPolicy" in denied.body
    said = space.line(destination="ws", decision="denied")
    assert said["reason"] == "no rule of an EgressPolicy in this namespace allows it"
    removed = policy("readers", {"to": TO_ECHO})
    space.mesh.outgate("delete", "-n", space.namespace, "-f", "-", text=removed)
    assert space.call("http://ws/").status == 200


def test_a_policy_opens_nothing_that_is_not_declared(space: Space) -> None:
    space.apply(policy("everything", {}))
    denied = space.call("http://elsewhere.example/")
    assert denied.status in (0, 403)
    address = space.mesh.internet.plan.records()["tcp.test", "A"][0]
    denied = space.call(f"http://{address}/")
    assert denied.status == 403
    assert "no resource declares" in denied.body
    assert space.line(destination=address)["decision"] == "denied"


def test_deny_wins_over_allow(space: Space) -> None:
    deny = {"action": "Deny", "to": TO_ECHO, "http": [{"methods": ["DELETE"]}]}
    space.apply(ECHO, policy("a", {}), policy("z", deny))
    assert space.call("http://echo/").status == 200
    denied = space.call("http://echo/", "-X", "DELETE")
    assert (denied.status, "egresspolicy/z/rule-1" in denied.body) == (403, True)
    assert space.line(method="DELETE")["reason"] == "egresspolicy/z/rule-1"


@pytest.mark.parametrize(
    ("flags", "status"),
    [
        (("-H", "x-a: b"), 200),
        (("-H", "x-a: c"), 403),
        ((), 403),
        (("-H", "x-a: b", "-X", "POST"), 403),
    ],
)
def test_how_it_may_be_called(space: Space, flags: tuple[str, ...], status: int) -> None:
    how = {"methods": ["GET"], "paths": [{"prefix": "/v1"}], "headers": [{"name": "x-a", "exact": "b"}]}  # fmt: skip
    space.apply(ECHO, policy("p", {"to": TO_ECHO, "http": [how]}))
    assert space.call("http://echo/v1/a?b=/c", *flags).status == status


LOOKS_ALLOWED = (
    "/v2", "/v1/../v2", "/v1/%2e%2e/v2", "/v1/..;/v2", "/v1/%2e%2e%2fv2", "/v1/x\\..\\..\\v2",
)  # fmt: skip


@pytest.mark.parametrize("path", LOOKS_ALLOWED)
def test_paths_that_only_look_allowed(space: Space, path: str) -> None:
    space.apply(ECHO, policy("p", {"to": TO_ECHO, "http": [{"paths": [{"prefix": "/v1"}]}]}))
    assert space.call("http://echo/v1/a").status == 200
    assert space.call(f"http://echo{path}", "--path-as-is").status == 403


def test_other_pods_are_not_meant(spaces: Spaces) -> None:
    space = spaces("--service-account", "builder")
    space.apply(ECHO, policy("mine", {}, subject={"podSelector": {"matchLabels": {"app": "app"}}}))
    assert space.call("http://echo/").status == 200
    space.apply(policy("mine", {}, subject={"podSelector": {"matchLabels": {"app": "other"}}}))
    assert space.call("http://echo/").status == 403
    space.apply(policy("mine", {}, subject={"serviceAccounts": ["builder"]}))
    assert space.call("http://echo/").status == 200
    space.apply(policy("mine", {}, subject={"serviceAccounts": ["default"]}))
    assert space.call("http://echo/").status == 403


def test_a_client_cannot_say_that_it_is_another(space: Space) -> None:
    space.apply(ECHO, policy("none", subject={}))
    forged = ("-H", "x-outgate-namespace: default", "-H", "x-outgate-pod: other")
    assert space.call("http://echo/", *forged).status == 403
    assert space.call("http://echo/", "-H", "Host: ECHO", *forged).status == 403


def test_other_namespaces_are_not_touched(spaces: Spaces) -> None:
    one, other = spaces(), spaces()
    other.apply(ECHO, policy("none", subject={}))
    one.apply(ECHO)
    assert one.call("http://echo/").status == 200
    assert one.line(service=f"echo.{one.namespace}")["reason"] == "declared"


def test_an_audited_policy_only_says_what_it_would_do(space: Space) -> None:
    space.apply(ECHO, TWO, policy("trial", {"to": TO_ECHO}, mode="Audit"))
    assert space.call("http://echo/").status == space.call("http://ws/").status == 200
    by = "allowed by egresspolicy/trial/rule-1"
    space.line(service=f"echo.{space.namespace}", audit=by)
    by = "denied by no rule of an EgressPolicy in this namespace allows it"
    said = space.line(service=f"ws.{space.namespace}", audit=by)
    assert (said["decision"], said["reason"]) == ("allowed", "declared")


def test_tcp_is_denied_before_anything_is_sent(space: Space) -> None:
    space.apply(
        service("db", "tcp.test", tcp=7777),
        service("talk", "banner.test", tcp=7778),
        policy("p", {"to": [{"service": "db"}]}),
    )
    assert space.tcp("db", 7777, "hello")["received"] == ["hello"]
    space.line(protocol="tcp", decision="allowed", reason="egresspolicy/p/rule-1")
    # It would speak first.
    denied = space.tcp("talk", 7778, greeting=5)
    assert denied["received"] in ([], [""])
    said = space.line(protocol="tcp", decision="denied")
    assert said["reason"] == "no rule of an EgressPolicy in this namespace allows it"
    assert said["upstream"] is None


@pytest.mark.parametrize(
    ("name", "host", "other"),
    [("echo.test", "echo.test", "a.wild.test"), ("a.wild.test", "*.wild.test", "echo.test")],
)
def test_tls_that_is_passed_through_is_judged_by_its_name(
    space: Space, outside: Outside, name: str, host: str, other: str
) -> None:
    outside.open("wild")
    ca = space.authority()
    space.apply(
        external("echo.test", ports=["TLS:443"]), external("*.wild.test", ports=["TLS:443"])
    )

    def asked(host: str) -> int:
        return space.call(f"https://{host}/", "--cacert", ca).status

    assert asked(name) == asked(other) == 200
    space.apply(policy("p", {"to": [{"host": host, "ports": [443]}]}))
    assert (asked(name), asked(other)) == (200, 0)
    space.line(server_name=name, decision="allowed", reason="egresspolicy/p/rule-1")
    said = space.line(server_name=other, decision="denied")
    assert said["reason"] == "no rule of an EgressPolicy in this namespace allows it"
    assert said["upstream"] is None
    # One of the names below a wildcard, too.
    space.apply(policy("q", {"action": "Deny", "to": [{"host": name}]}))
    assert (asked(name), asked(other)) == (0, 0)
    space.line(server_name=name, decision="denied", reason="egresspolicy/q/rule-1")


TOKEN = "aGVsbG8gc2VjcmV0"  # noqa: S105 - of these tests only


def with_credential(**said: Any) -> str:
    reference = {"name": "token", "key": "value"}
    credential = {"header": "Authorization", "prefix": "Bearer ", "secretRef": reference}
    return policy("p", {"to": TO_ECHO, "credential": credential | said})


def test_a_credential_is_put_in_and_never_shown(space: Space) -> None:
    space.apply(ECHO, secret("token", value=TOKEN), with_credential())
    said = space.call("http://echo/", "-H", "Authorization: Bearer mine")
    assert said.seen["authorization"] == [f"Bearer {TOKEN}"]
    rotated = TOKEN[::-1]
    space.apply(secret("token", value=rotated))
    assert until(
        lambda: space.call("http://echo/").seen["authorization"] == [f"Bearer {rotated}"], 20
    )
    mesh = space.mesh
    shown = mesh.outgate("logs", "--egress")
    shown += mesh.outgate("explain", "-n", space.namespace, space.pod, "http://echo/")
    shown += mesh.outgate("proxy-config", "all", "-o", "json", status=None)
    for each in (TOKEN, rotated):
        assert each not in shown


def test_without_its_credential_a_call_is_not_made(space: Space) -> None:
    told = space.apply(ECHO, policy("a", {"to": TO_ECHO}), with_credential())
    missing = f"there is no entry value of Secret token in namespace {space.namespace}"
    assert f"warning: egresspolicy/p: spec: {missing}" in told
    assert "egresspolicy/a:" not in told
    space.delete("egresspolicy", "a")
    denied = space.call("http://echo/", "-H", "Authorization: Bearer mine")
    assert (denied.status, "credential" in denied.body) == (503, True)
    said = space.line(status=503)
    assert (said["decision"], said["upstream"]) == ("denied", None)
    assert said["reason"] == "egresspolicy/p/rule-1"
    space.apply(secret("token", value=TOKEN))
    assert until(lambda: space.call("http://echo/").status == 200, 20)


def test_a_rule_about_what_is_not_there_is_warned_of(space: Space) -> None:
    deny = policy("p", {"action": "Deny", "to": [{"externalService": "late"}, {"service": "echo"}]})
    told = space.apply(ECHO, deny)
    missing = f"there is no ExternalService late in namespace {space.namespace}"
    assert f"warning: egresspolicy/p: spec.rules[0].to[0]: {missing}" in told
    assert "to[1]" not in told
    space.apply(external("late.test", name="late"))
    assert missing not in str(space.mesh.status()["problems"])


def test_a_credential_comes_long_after_its_destination(space: Space) -> None:
    """Envoy crashed: a new host changes the pod's listener, and what was of the one before goes away in a second."""
    restarts = space.mesh.status()["egress"]["restarts"]
    space.apply(ECHO, external("h2.test", ports=["HTTP:8123"]))
    time.sleep(2)
    space.apply(secret("token", value=TOKEN), with_credential(header="X-Late-Key"))
    late = [f"Bearer {TOKEN}"]
    assert until(lambda: space.call("http://echo/").seen.get("x-late-key") == late, 20)
    assert space.mesh.status()["egress"]["restarts"] == restarts


def test_a_credential_goes_to_no_other_destination(space: Space) -> None:
    copies = external("echo.test", rules=[{"mirror": [{"host": "ws.test"}]}])
    to = [{"externalService": "echo-test"}]
    token = {"secretRef": {"name": "token", "key": "value"}}
    rules = {"to": to, "credential": token}
    space.apply(copies, external("ws.test"), secret("token", value=TOKEN))
    assert space.call("http://echo.test/").status == 200
    space.apply(policy("p", rules))
    denied = space.call("http://echo.test/")
    assert (denied.status, "another_destination" in denied.body) == (403, True)


def test_a_limit_for_each_pod_and_one_for_all(space: Space) -> None:
    limit = {"requests": 2, "per": "60s", "share": "Pod"}
    limited = policy("p", {"to": TO_ECHO, "rateLimit": limit})
    space.apply(ECHO, limited)
    assert [space.call("http://echo/").status for _ in range(3)] == [200, 200, 429]
    denied = space.call("http://echo/")
    assert "egresspolicy/p/rule-1 (2 per 60s for each pod)" in denied.body
    said = space.line(status=429)
    assert said["decision"] == "denied"
    assert said["reason"] == "egresspolicy/p/rule-1 (2 per 60s for each pod)"
    with space.mesh.pod("second", "-n", space.namespace):
        said = space.mesh.curl("second", "http://echo/", namespace=space.namespace)
        assert said.startswith("200")
    # Another policy does not fill it again.
    space.apply(policy("q", {"to": [{"host": "ws.test"}]}))
    assert space.call("http://echo/").status == 429
    space.apply(policy("p", {"to": TO_ECHO, "rateLimit": limit | {"share": "All"}}))
    assert [space.call("http://echo/").status for _ in range(3)] == [200, 200, 429]
    with space.mesh.pod("third", "-n", space.namespace):
        said = space.mesh.curl("third", "http://echo/", namespace=space.namespace)
        assert said.startswith("429")


def test_explain_says_which_rule_decides(space: Space) -> None:
    deny = {"action": "Deny", "to": TO_ECHO, "http": [{"methods": ["DELETE"]}]}
    space.apply(ECHO, TWO, policy("p", {"to": TO_ECHO}, deny))

    def explained(url: str) -> str:
        return str(space.mesh.outgate("explain", "-n", space.namespace, space.pod, url))

    assert "egresspolicy/p/rule-1" in explained("http://echo/")
    assert "no rule of an EgressPolicy" in explained("http://ws/")


def counted_by_service() -> str:
    limit = {"domain": "outgate", "descriptors": {"tier": "gold"}}
    return policy("p", {"to": TO_ECHO, "globalRateLimit": limit})


def test_without_a_rate_limit_service_such_a_rule_allows_nothing(space: Space) -> None:
    space.apply(ECHO, counted_by_service())
    denied = space.call("http://echo/")
    assert (denied.status, "needs_a_rate-limit_service" in denied.body) == (403, True)


@pytest.mark.parametrize(("failure", "status"), [("", "503"), ("open", "200")])
def test_a_rate_limit_service_that_does_not_answer(
    stopped_mesh: Any, failure: str, status: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
    stopped_mesh.environment["OUTGATE_RATE_LIMIT_SERVICE"] = place
    stopped_mesh.environment["OUTGATE_RATE_LIMIT_FAILURE"] = failure
    stopped_mesh.up()
    stopped_mesh.apply(ECHO, counted_by_service())
    with stopped_mesh.pod("caller"):
        said = stopped_mesh.curl("caller", "http://echo/")
        assert said.startswith(status), said
        assert failure or "cannot be counted" in said
