"""Who may call what, in a cluster: the small set of tests/e2e/mesh/test_policy.py."""

from typing import Any

import pytest
from tests.cluster.commands import ClusterError
from tests.cluster.mesh.apps import App
from tests.cluster.mesh.conftest import Mesh
from tests.cluster.mesh.policy.spaces import BUILDER, NO_RULE, TO_ECHO, Space, policy
from tests.outside.calling import until
from tests.outside.control import Outside

pytestmark = pytest.mark.cluster


def test_a_first_policy_denies_all_that_no_rule_allows(space: Space) -> None:
    assert space.status("http://echo/") == space.status("http://ws/") == 200
    space.apply(policy("readers", {"to": TO_ECHO}))
    assert space.status("http://echo/") == 200
    line = space.line(service=f"echo.{space.namespace}", reason="egresspolicy/readers/rule-1")
    assert line["decision"] == "allowed"
    denied = space.app.call("http://ws/")
    assert (denied.status, "no_rule_of_an_EgressPolicy" in denied.body) == (403, True)
    assert space.line(destination="ws", decision="denied")["reason"] == NO_RULE
    space.delete("egresspolicy/readers")
    assert until(lambda: space.status("http://ws/") == 200)


def test_other_namespaces_are_not_touched(space: Space, mesh: Mesh, namespace: str) -> None:
    other = Space(mesh, namespace)
    space.apply(policy("none"))
    assert (space.status("http://echo/"), other.status("http://echo/")) == (403, 200)


def test_deny_wins_and_says_which_rule(space: Space) -> None:
    how = [{"methods": ["GET", "DELETE"], "paths": [{"prefix": "/v1"}]}]
    deny = {"action": "Deny", "to": TO_ECHO, "http": [{"methods": ["DELETE"]}]}
    space.apply(policy("a", {"to": TO_ECHO, "http": how}), policy("z", deny))
    assert space.status("http://echo/v1/x") == 200
    assert space.status("http://echo/v2") == space.status("http://echo/v1/x", "-XPOST") == 403
    denied = space.app.call("http://echo/v1/x", "-XDELETE")
    assert (denied.status, "egresspolicy/z/rule-1" in denied.body) == (403, True)
    assert space.line(method="DELETE")["reason"] == "egresspolicy/z/rule-1"
    said = space.mesh.shell(f"outgate explain -n {space.namespace} app http://ws/", check=False)
    assert "no rule of an EgressPolicy" in said


@pytest.mark.parametrize(
    ("subject", "allowed"),
    [
        ({"podSelector": {"matchLabels": {"app": "app"}}}, (200, 403)),
        ({"podSelector": {"matchLabels": {"app": "builder"}}}, (403, 200)),
        ({"serviceAccounts": ["builder"]}, (403, 200)),
        ({"serviceAccounts": ["default", "builder"]}, (200, 200)),
        ({"serviceAccounts": ["other"]}, (403, 403)),
    ],
)
def test_a_policy_is_for_those_pods_that_it_selects(
    space: Space, builder: App, subject: dict[str, Any], allowed: tuple[int, int]
) -> None:
    space.apply(policy("mine", {"to": TO_ECHO}, **subject))
    assert (space.status("http://echo/"), builder.call("http://echo/").status) == allowed


def test_labels_that_a_running_pod_gets_count(space: Space) -> None:
    space.apply(policy("mine", {}, podSelector={"matchLabels": {"team": "red"}}))
    assert space.status("http://echo/") == 403
    label = ("label", "pod", "app", "-n", space.namespace)
    space.mesh.cluster.kubectl(*label, "team=red")
    assert until(lambda: space.status("http://echo/") == 200)
    space.mesh.cluster.kubectl(*label, "team-")
    assert until(lambda: space.status("http://echo/") == 403)


def test_tcp_is_denied_before_anything_is_sent(space: Space) -> None:
    assert space.app.tcp("talk", 7778, greeting=5)["received"] == ["220 b"]
    space.apply(policy("p", {"to": [{"service": "db"}]}))
    assert space.app.tcp("db", 7777, "hello")["received"] == ["hello"]
    assert space.line(protocol="tcp", reason="egresspolicy/p/rule-1")["decision"] == "allowed"
    assert space.app.tcp("talk", 7778, greeting=5)["received"] in ([], [""])
    line = space.line(protocol="tcp", decision="denied")
    assert (line["reason"], line["upstream"]) == (NO_RULE, None)


@pytest.mark.parametrize("name", ["echo.test", "a.wild.test"])
def test_tls_that_is_passed_through(space: Space, outside: Outside, name: str) -> None:
    ca = space.app.file("ca.pem", outside.ca)
    other = {"echo.test": "a.wild.test", "a.wild.test": "echo.test"}[name]

    def asked(host: str) -> int:
        return space.status(f"https://{host}/", "--cacert", ca)

    assert asked(name) == asked(other) == 200
    host = name.replace("a.wild", "*.wild")
    space.apply(policy("p", {"to": [{"host": host, "ports": [443]}]}))
    assert (asked(name), asked(other)) == (200, 0)
    allowed = space.line(server_name=name, reason="egresspolicy/p/rule-1")
    assert allowed["decision"] == "allowed"
    denied = space.line(server_name=other, decision="denied")
    assert (denied["reason"], denied["upstream"]) == (NO_RULE, None)
    deny = {"action": "Deny", "to": [{"host": name}]}
    space.apply(policy("q", deny))
    assert asked(name) == 0
    assert space.line(server_name=name, decision="denied")["reason"] == "egresspolicy/q/rule-1"


def test_an_audited_policy_only_says_what_it_would_do(space: Space) -> None:
    space.apply(policy("trial", {"to": TO_ECHO}, mode="Audit"))
    assert space.status("http://echo/audited") == space.status("http://ws/audited") == 200
    line = space.line(service=f"ws.{space.namespace}", path="/audited")
    assert (line["audit"], line["decision"]) == (f"denied by {NO_RULE}", "allowed")


def test_a_policy_for_a_pod_that_is_new(space: Space, mesh: Mesh) -> None:
    space.apply(policy("mine", {"to": TO_ECHO}, podSelector={"matchLabels": {"app": "builder"}}))
    mesh.cluster.apply(mesh.inject(BUILDER), namespace=space.namespace)
    mesh.cluster.wait("Ready", "pod/builder", namespace=space.namespace)
    new = App(mesh, space.namespace, "builder")
    assert until(lambda: new.call("http://echo/").status == 200)
    assert new.call("http://ws/").status == 403
    mesh.cluster.kubectl("delete", "pod", "builder", "-n", space.namespace, "--wait=false")


def test_what_is_wrong_with_a_policy_is_said_and_nothing_is_opened(space: Space) -> None:
    wrong = policy("p", {"to": TO_ECHO, "rateLimit": {"requests": 5, "burst": 2}})
    with pytest.raises(ClusterError, match="burst"):
        space.mesh.cluster.apply(wrong, namespace=space.namespace)
