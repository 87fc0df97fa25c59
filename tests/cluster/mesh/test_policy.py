"""Who may call what, how much, with which credential: the small set of tests/e2e/mesh/test_policy.py, in a cluster."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.cluster.commands import ClusterError
from tests.cluster.internet import ClusterInternet
from tests.cluster.mesh.asking import start
from tests.cluster.mesh.conftest import SYSTEM, Mesh
from tests.cluster.mesh.test_faults import delete
from tests.cluster.mesh.test_names import programmed
from tests.cluster.mesh.test_protocols import App, external, service
from tests.outside.calling import until
from tests.outside.control import Outside

pytestmark = pytest.mark.cluster

OPENED = ("web", "wild", "tls-echo")
SERVICES = {
    "echo": service("echo", "echo.test", http=80),
    "ws": service("ws", "ws.test", http=80),
    "db": service("db", "tcp.test", tcp=7777),
    "talk": service("talk", "banner.test", tcp=7778),
}
EXTERNALS = {
    "passed": external("passed", "echo.test", "name: tls, port: 443, protocol: TLS"),
    "wild": external("wild", '"*.wild.test"', "name: tls, port: 443, protocol: TLS"),
}
TO_ECHO = [{"service": "echo"}]
NO_RULE = "no rule of an EgressPolicy in this namespace allows it"
TOKEN = "aGVsbG8gc2VjcmV0"  # noqa: S105 - of these tests only


def policy(name: str, *rules: dict[str, Any], mode: str = "Enforce", **subject: Any) -> str:
    return json.dumps(
        {
            "apiVersion": "outgate.dev/v1alpha1",
            "kind": "EgressPolicy",
            "metadata": {"name": name},
            "spec": {"subject": subject, "mode": mode, "rules": list(rules)},
        }
    )


class Space:
    """A namespace of a test's own with a captured pod, which has what SERVICES and EXTERNALS declare."""

    def __init__(self, mesh: Mesh, namespace: str) -> None:
        self.mesh, self.namespace = mesh, namespace
        mesh.cluster.apply(*SERVICES.values(), *EXTERNALS.values(), namespace=namespace)
        start(mesh, namespace, "app")
        programmed(mesh, namespace, *SERVICES, *EXTERNALS)
        self.app = App(mesh, namespace)

    def apply(self, *manifests: str) -> None:
        """Have policies in effect."""
        self.mesh.cluster.apply(*manifests, namespace=self.namespace)
        names = [json.loads(each)["metadata"]["name"] for each in manifests]
        assert until(lambda: all(map(self.is_programmed, names)), 30)

    def conditions(self, name: str) -> dict[str, dict[str, Any]]:
        """Return what is said about a policy as it is now, by type."""
        words = ("get", "egresspolicy", name, "-n", self.namespace, "-o=json")
        item = json.loads(self.mesh.cluster.kubectl(*words))
        now = item["metadata"]["generation"]
        conditions = item.get("status", {}).get("conditions", [])
        return {each["type"]: each for each in conditions if each["observedGeneration"] == now}

    def is_programmed(self, name: str) -> bool:
        return self.conditions(name).get("Programmed", {}).get("status") == "True"

    def delete(self, *names: str) -> None:
        self.mesh.cluster.kubectl("delete", "-n", self.namespace, *names)

    def status(self, url: str, *flags: str) -> int:
        return self.app.call(url, *flags).status

    def line(self, **wanted: Any) -> dict[str, Any]:
        """Return the last line of `outgate logs --egress` for this namespace with some values."""
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            said = self.mesh.shell(f"outgate logs --egress -n {self.namespace}")
            lines = map(json.loads, said.splitlines())
            found[:] = [each for each in lines if wanted.items() <= each.items()]
            return bool(found)

        assert until(is_there), wanted
        return found[-1]


@pytest.fixture(scope="module")
def outside(internet: ClusterInternet) -> Iterator[Outside]:
    made = Outside(internet)
    made.open(*OPENED)
    yield made
    for each in OPENED:
        internet.pause(each)


@pytest.fixture(scope="module")
def shared(mesh: Mesh, outside: Outside) -> Iterator[Space]:
    assert outside
    with mesh.cluster.namespace() as name:
        yield Space(mesh, name)


@pytest.fixture
def space(shared: Space) -> Iterator[Space]:
    """The namespace, without any policy before and after."""
    yield shared
    shared.delete("egresspolicy", "--all")
    assert until(lambda: shared.status("http://ws/") == 200, 30)


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


@pytest.fixture
def builder(space: Space) -> Iterator[App]:
    """A second pod of the namespace: other labels, and a service account of its own."""
    mesh, namespace = space.mesh, space.namespace
    account = '{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "builder"}}'
    mesh.cluster.apply(account, namespace=namespace)
    pod = mesh.inject(BUILDER)
    mesh.cluster.apply(pod, namespace=namespace)
    mesh.cluster.wait("Ready", "pod/builder", namespace=namespace)
    yield App(mesh, namespace, "builder")
    mesh.cluster.kubectl("delete", "pod", "builder", "-n", namespace, "--wait=false")


BUILDER = """
apiVersion: v1
kind: Pod
metadata: {name: builder, labels: {app: builder}}
spec:
  terminationGracePeriodSeconds: 0
  serviceAccountName: builder
  containers:
  - name: app
    image: curlimages/curl
    imagePullPolicy: IfNotPresent
    command: [sleep, infinity]
"""


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


def secret(value: str) -> str:
    head = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}}
    return json.dumps(head | {"stringData": {"value": value}})


CREDENTIAL = {"prefix": "Bearer ", "secretRef": {"name": "token", "key": "value"}}


def test_a_credential_from_a_secret(space: Space) -> None:
    mesh, namespace = space.mesh, space.namespace
    mesh.cluster.apply(secret(TOKEN), namespace=namespace)
    mesh.cluster.apply(policy("p", {"to": TO_ECHO, "credential": CREDENTIAL}), namespace=namespace)
    # Nobody's Secrets are read who has not said so: the call is not made, and the policy says why.
    assert until(lambda: space.status("http://echo/") == 503, 30)
    missing = f"entry value of Secret token in namespace {namespace}"
    assert until(lambda: missing in json.dumps(space.conditions("p")), 30), space.conditions("p")
    mesh.shell(
        f"kubectl create rolebinding outgate -n {namespace} --clusterrole=outgate-materials"
        f" --serviceaccount={SYSTEM}:outgate-controller"
    )
    began = time.monotonic()
    assert until(lambda: space.status("http://echo/") == 200, 90)
    assert time.monotonic() - began < 40
    assert until(lambda: space.is_programmed("p"), 30), space.conditions("p")
    said = space.app.call("http://echo/", "-H", "Authorization: Bearer mine")
    assert said.seen["authorization"] == [f"Bearer {TOKEN}"]
    rotated = TOKEN[::-1]
    patch = json.dumps({"stringData": {"value": rotated}})
    mesh.cluster.kubectl("patch", "secret", "token", "-n", namespace, "-p", patch)

    def arrives() -> list[str]:
        return space.app.call("http://echo/").seen["authorization"]

    assert until(lambda: arrives() == [f"Bearer {rotated}"])
    shown = everything_shown(space)
    assert "egresspolicy/p" in shown
    encoded = json.loads(mesh.cluster.kubectl("get", "secret/token", "-n", namespace, "-o=json"))
    for each in (TOKEN, rotated, encoded["data"]["value"]):
        assert each not in shown
    space.delete("secret/token")
    assert until(lambda: space.status("http://echo/") == 503)


def everything_shown(space: Space) -> str:
    """Return all that commands and logs show of the egress and of this namespace."""
    mesh = space.mesh
    egress = mesh.shell(
        f"kubectl get pods -n {SYSTEM} -l app.kubernetes.io/name=outgate-egress -o name"
        " --field-selector=status.phase=Running"
    )
    asked = [f"outgate explain -n {space.namespace} app http://echo/", "outgate status -o json"]
    asked += [f"outgate proxy-config app -n {space.namespace} -o json"]
    for each in egress.split():
        asked += [f"outgate proxy-config {each.removeprefix('pod/')} -n {SYSTEM} -o json"]
    asked += ["outgate logs --egress", f"outgate logs app -n {space.namespace}"]
    shown = [mesh.shell(each, check=False) for each in asked]
    return "\n".join((*shown, mesh.logs("outgate-egress"), mesh.logs("outgate-controller")))


def test_a_limit_for_each_pod_and_one_for_all(space: Space, builder: App) -> None:
    limit = {"requests": 2, "per": "60s", "share": "Pod"}
    space.apply(policy("p", {"to": TO_ECHO, "rateLimit": limit}))
    assert [space.status("http://echo/") for _ in range(3)] == [200, 200, 429]
    denied = space.app.call("http://echo/")
    assert "egresspolicy/p/rule-1 (2 per 60s for each pod)" in denied.body
    assert space.line(status=429)["decision"] == "denied"
    assert [builder.call("http://echo/").status for _ in range(3)] == [200, 200, 429]
    space.apply(policy("p", {"to": TO_ECHO, "rateLimit": limit | {"share": "All"}}))
    both = [space.status("http://echo/"), builder.call("http://echo/").status]
    assert both == [200, 200]
    assert [space.status("http://echo/"), builder.call("http://echo/").status] == [429, 429]


class Probe:
    """Calls again and again, what is allowed and what is not, and keeps each result that should not be."""

    def __init__(self, space: Space) -> None:
        self.opened: list[int] = []
        self.closed: list[int] = []
        self.count = 0
        self._space, self._ended = space, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ended.is_set():
            denied, allowed = self._space.status("http://ws/"), self._space.status("http://echo/")
            if denied == 200:
                self.opened.append(denied)
            if allowed != 200:
                self.closed.append(allowed)
            self.count += 1

    def during(self, act: Callable[[], object]) -> None:
        self._thread.start()
        try:
            act()
        finally:
            self._ended.set()
            self._thread.join()


def rolled_out(space: Space, name: str) -> None:
    rollout = ("rollout", "status", "-n", SYSTEM, f"deployment/{name}", "--timeout=60s")
    space.mesh.cluster.kubectl(*rollout)


@pytest.mark.parametrize("name", ["outgate-controller", "outgate-egress"])
def test_policies_hold_while_a_part_is_started_anew(space: Space, name: str) -> None:
    space.apply(policy("p", {"to": TO_ECHO}))
    assert (space.status("http://ws/"), space.status("http://echo/")) == (403, 200)

    def killed() -> None:
        time.sleep(1)
        delete(space.mesh, name)
        time.sleep(1)
        rolled_out(space, name)
        time.sleep(3)

    probe = Probe(space)
    probe.during(killed)
    assert probe.opened == []
    assert probe.count > 10
    if name == "outgate-controller":
        assert probe.closed == []
    assert until(lambda: space.status("http://echo/") == 200, 30)
    assert space.status("http://ws/") == 403
    # And what is said from now on counts.
    space.apply(policy("q", {"to": [{"service": "ws"}]}))
    assert space.status("http://ws/") == 200


def test_a_policy_for_a_pod_that_is_new(space: Space, mesh: Mesh) -> None:
    space.apply(policy("mine", {"to": TO_ECHO}, podSelector={"matchLabels": {"app": "builder"}}))
    account = '{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "builder"}}'
    mesh.cluster.apply(account, namespace=space.namespace)
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
