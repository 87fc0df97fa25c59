"""What policies do to calls that they allow: credentials and limits; and that they hold while a part is gone."""

import json
import threading
import time
from collections.abc import Callable

import pytest
from tests.cluster.mesh.apps import App
from tests.cluster.mesh.conftest import SYSTEM
from tests.cluster.mesh.operating import delete
from tests.cluster.mesh.policy.spaces import TO_ECHO, Space, policy
from tests.outside.calling import until

pytestmark = pytest.mark.cluster

TOKEN = "aGVsbG8gc2VjcmV0"  # noqa: S105 - of these tests only


def secret(value: str) -> str:
    head = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}}
    return json.dumps(head | {"stringData": {"value": value}})


CREDENTIAL = {"prefix": "Bearer ", "secretRef": {"name": "token", "key": "value"}}


def let_read(space: Space) -> None:
    """Have the controller read the namespace's Secrets."""
    space.mesh.shell(
        f"kubectl create rolebinding outgate -n {space.namespace} --clusterrole=outgate-materials"
        f" --serviceaccount={SYSTEM}:outgate-controller --dry-run=client -o yaml | kubectl apply -f -"
    )


def test_a_credential_from_a_secret(space: Space) -> None:
    mesh, namespace = space.mesh, space.namespace
    mesh.cluster.apply(secret(TOKEN), namespace=namespace)
    mesh.cluster.apply(policy("p", {"to": TO_ECHO, "credential": CREDENTIAL}), namespace=namespace)
    # Nobody's Secrets are read who has not said so: the call is not made, and the policy says why.
    assert until(lambda: space.status("http://echo/") == 503, 30)
    missing = f"entry value of Secret token in namespace {namespace}"
    assert until(lambda: missing in json.dumps(space.conditions("p")), 30), space.conditions("p")
    let_read(space)
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
    assert until(lambda: missing in json.dumps(space.conditions("p")), 30), space.conditions("p")
    space.delete("rolebinding/outgate")


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
    let_read(space)
    space.mesh.cluster.apply(secret(TOKEN), namespace=space.namespace)
    space.apply(policy("p", {"to": TO_ECHO, "credential": CREDENTIAL}))
    assert until(lambda: space.status("http://echo/") == 200)
    assert space.status("http://ws/") == 403

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
    assert space.is_programmed("p"), space.conditions("p")
    # And what is said from now on counts.
    space.apply(policy("q", {"to": [{"service": "ws"}]}))
    assert space.status("http://ws/") == 200
    space.delete("rolebinding/outgate", "secret/token")
