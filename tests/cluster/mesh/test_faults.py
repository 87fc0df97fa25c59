"""What happens while a part is gone: nothing gets out that may not, what is programmed goes on, and all of it recovers.

A loop in a captured pod calls a declared service and, directly, a canary that is not declared, over TCP and UDP.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from tests.cluster.commands import ClusterError
from tests.cluster.internet import ClusterInternet
from tests.cluster.mesh.conftest import SERVICES, SYSTEM, Mesh
from tests.cluster.mesh.operating import delete

APP = """
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: app
    image: curlimages/curl
    imagePullPolicy: IfNotPresent
    command: [sh, -c]
    args:
    - |
      while :; do
        if why=$(curl -sSf -m 2 -o /dev/null http://externalbin/headers 2>&1)
        then echo ok; else echo "failed: $(date +%T) $why"; fi
        curl -sf -m 1 -o /dev/null http://CANARY:9999/ && echo escaped
        curl -sf -m 1 -o /dev/null --connect-timeout 1 tftp://CANARY:9999/x && echo escaped
        sleep 0.1
      done
"""


_IN_A_ROW = 5


class Loop:
    def __init__(self, mesh: Mesh, internet: ClusterInternet, namespace: str) -> None:
        self.mesh, self.internet, self.namespace = mesh, internet, namespace
        path = ("get", "pod", "app", "-n", namespace, "-o=jsonpath={.status.podIPs[*].ip}")
        self.addresses = set(mesh.cluster.kubectl(*path).split())

    def said(self) -> list[str]:
        return self.mesh.cluster.kubectl(
            "logs", "-n", self.namespace, "app", "-c", "app"
        ).splitlines()

    def succeeds(self, since: int = 0, seconds: float = 60) -> float:
        """Wait until the last calls of those after the line `since` succeed, and return how long that took."""
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            with contextlib.suppress(ClusterError):
                if self.said()[since:][-_IN_A_ROW:] == ["ok"] * _IN_A_ROW:
                    return time.monotonic() - began
            time.sleep(0.3)
        raise AssertionError(f"no success: {self.said()[since:][-20:]}")

    def escaped(self) -> list[dict[str, object]]:
        """Return what reached the outside from this pod itself."""
        found = [each for each in self.internet.canary() if each.get("source") in self.addresses]
        return [each for each in found if each.get("port") == 9999]


@pytest.fixture(scope="module")
def loop(mesh: Mesh, internet: ClusterInternet) -> Iterator[Loop]:
    canary = internet.plan.records()["canary.test", "A"][0]
    with mesh.cluster.namespace() as name:
        mesh.cluster.apply(SERVICES, mesh.inject(APP.replace("CANARY", canary)), namespace=name)
        mesh.cluster.wait("Ready", "pod/app", namespace=name)
        made = Loop(mesh, internet, name)
        made.succeeds()
        yield made
        assert made.escaped() == []
        assert "escaped" not in made.said()


def test_without_capture_the_same_loop_reaches_the_canary(
    mesh: Mesh, internet: ClusterInternet, namespace: str
) -> None:
    """Else the other tests here would prove nothing."""
    canary = internet.plan.records()["canary.test", "A"][0]
    mesh.cluster.apply(SERVICES, APP.replace("CANARY", canary), namespace=namespace)
    mesh.cluster.wait("Ready", "pod/app", namespace=namespace)
    free = Loop(mesh, internet, namespace)
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and len({each["protocol"] for each in free.escaped()}) < 2:
        time.sleep(0.5)
    assert {each["protocol"] for each in free.escaped()} == {"tcp", "udp"}


def failures(loop: Loop, during: Callable[[], object]) -> list[str]:
    """Return which calls failed while something was done, and why."""
    before = len(loop.said())
    during()
    loop.succeeds(before)
    return [each for each in loop.said()[before:] if each.startswith("failed")]


def test_while_the_controller_is_gone_calls_go_on(loop: Loop) -> None:
    rollout = ("rollout", "status", "-n", SYSTEM, "deployment/outgate-controller", "--timeout=60s")

    def kill() -> None:
        delete(loop.mesh, "outgate-controller")
        loop.mesh.cluster.kubectl(*rollout)
        # Its sidecar is connected again, and knows what there is.
        time.sleep(1)

    assert failures(loop, kill) == []


def test_the_authority_is_put_back_if_it_is_deleted(loop: Loop) -> None:
    """A new one would be one that no proxy trusts that runs."""
    kubectl = loop.mesh.cluster.kubectl
    kept = (
        "get",
        "secret",
        "-n",
        SYSTEM,
        "outgate-ca",
        "--ignore-not-found",
        "-o=jsonpath={.data}",
    )
    before = kubectl(*kept)
    assert failures(loop, lambda: kubectl("delete", "secret", "-n", SYSTEM, "outgate-ca")) == []
    deadline = time.monotonic() + 20
    while not (after := kubectl(*kept)) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert after == before != ""


def test_while_the_api_server_is_gone_calls_go_on_and_changes_follow(loop: Loop) -> None:
    loop.mesh.cluster.stop("kube-apiserver")
    time.sleep(4)
    loop.mesh.cluster.start("kube-apiserver")
    assert not [each for each in loop.said()[-5:] if each.startswith("failed")]
    service = SERVICES.split("---")[0].replace("externalbin", "later")
    loop.mesh.cluster.apply(service, namespace=loop.namespace)
    call = "curl -s -m 2 http://later/headers"
    deadline = time.monotonic() + 30
    while True:
        script = f"{call} || true"
        said = loop.mesh.cluster.exec(
            "app", "sh", "-c", script, namespace=loop.namespace, container="app"
        )
        if "httpbin.org" in said:
            break
        assert time.monotonic() < deadline, said
        time.sleep(0.5)


def test_an_egress_that_is_killed_comes_back(loop: Loop) -> None:
    before = len(loop.said())
    delete(loop.mesh, "outgate-egress")
    assert loop.succeeds(before) < 30


def test_a_sidecar_that_is_killed_comes_back(loop: Loop) -> None:
    path = "-o=jsonpath={.status.initContainerStatuses[?(@.name=='outgate-proxy')].restartCount}"
    restarts = ("get", "pod", "app", "-n", loop.namespace, path)
    loop.mesh.cluster.node.run("pkill", "-9", "-f", f"^envoy.*sidecar~app.{loop.namespace}")
    deadline = time.monotonic() + 30
    while loop.mesh.cluster.kubectl(*restarts) != "1":
        assert time.monotonic() < deadline, "it is not started again"
        time.sleep(0.2)
    assert loop.succeeds(len(loop.said())) < 30


def test_containerd_restarts(loop: Loop) -> None:
    def restart() -> None:
        loop.mesh.cluster.stop("containerd")
        loop.mesh.cluster.start("containerd")

    assert failures(loop, restart) == []


def test_a_service_that_is_deleted_ends_at_once(loop: Loop) -> None:
    thread = threading.Thread(
        target=loop.mesh.cluster.kubectl,
        args=("delete", "service", "externalbin", "-n", loop.namespace),
    )
    thread.start()
    thread.join()
    time.sleep(2)
    assert "ok" not in loop.said()[-2:]
    before = len(loop.said())
    loop.mesh.cluster.apply(SERVICES, namespace=loop.namespace)
    loop.succeeds(before)
