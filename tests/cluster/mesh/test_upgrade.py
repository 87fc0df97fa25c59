"""An upgrade is noticed by nobody: no call fails, none escapes, and each pod that is made meanwhile is captured.

Loops in a captured pod call on a new connection each time, on one that they keep, and for seconds; and, directly, a
canary that is not declared.
"""

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from lightkube import ApiError, Client, KubeConfig
from lightkube.resources.core_v1 import Pod
from tests.cluster.internet import ClusterInternet
from tests.cluster.mesh.conftest import HUB, SERVICES, SYSTEM, Mesh

from outgate.kube import leaving

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
      call() {
        kind=$1; shift
        if why=$(curl -sSf -m 20 -o /dev/null "$@" 2>&1); then echo $kind; else echo "failed: $kind $why"; fi
      }
      # Never without a request under way: whoever cuts this connection cuts one off.
      (while :; do
        curl -sSf --fail-early -m 20 -o /dev/null -w '%{stderr}kept\\n' 'http://externalbin/delay/1?[1-1000]' ||
          echo failed: kept
      done) &
      (while :; do call long http://externalbin/delay/8; done) &
      while :; do
        call new http://externalbin/headers
        curl -sf -m 1 -o /dev/null http://CANARY:9999/ && echo escaped
        sleep 0.2
      done
"""
NEXT = "docker.io/next"
"""A registry whose images are the same: to Kubernetes, others."""


class Loops:
    """What the pod says."""

    def __init__(self, mesh: Mesh, internet: ClusterInternet, namespace: str) -> None:
        self.mesh, self.internet, self.namespace = mesh, internet, namespace
        path = ("get", "pod", "app", "-n", namespace, "-o=jsonpath={.status.podIPs[*].ip}")
        self.addresses = set(mesh.cluster.kubectl(*path).split())

    def said(self) -> list[str]:
        logs = ("logs", "-n", self.namespace, "app", "-c", "app")
        return self.mesh.cluster.kubectl(*logs).splitlines()

    def wait_for(self, count: int, *kinds: str, since: int = 0) -> None:
        """Wait until there were that many more good calls of each kind."""
        deadline = time.monotonic() + 90
        while True:
            found = Counter(self.said()[since:])
            if all(found[each] >= count for each in kinds):
                return
            assert time.monotonic() < deadline, self.said()[-20:]
            time.sleep(0.5)

    def escaped(self) -> list[dict[str, object]]:
        found = [each for each in self.internet.canary() if each.get("source") in self.addresses]
        return [each for each in found if each.get("port") == 9999]

    def updates(self) -> dict[str, int]:
        """Return how often the sidecar took in something new, by kind."""
        node = self.mesh.cluster.node
        pid = node.run("pgrep", "-f", f"^envoy.*sidecar~app.{self.namespace}").split()[0]
        socket = ("--unix-socket", f"/proc/{pid}/root/run/outgate/admin.sock")
        wanted = "(cds|lds|sds.*|control_plane)[.](update_success|connected_state)"
        text = node.run(
            "curl", "-sS", *socket, f"http://envoy/stats?format=json&filter={wanted}", "--globoff"
        )
        return {each["name"]: each["value"] for each in json.loads(text)["stats"]}


@pytest.fixture(scope="module")
def two(mesh: Mesh) -> Iterator[Mesh]:
    """Two egress Envoys, and one controller; afterwards one of each again, with the images of this tree."""
    apply(mesh, "--egress-replicas 2")
    settled(mesh)
    yield mesh
    apply(mesh, "")
    settled(mesh)


def apply(mesh: Mesh, flags: str) -> None:
    mesh.shell(f"outgate install {flags} | kubectl apply -f -")


def settled(mesh: Mesh) -> None:
    for name in ("outgate-controller", "outgate-egress"):
        wait = ("rollout", "status", "-n", SYSTEM, f"deployment/{name}", "--timeout=90s")
        mesh.cluster.kubectl(*wait, seconds=100)


@pytest.fixture(scope="module")
def loops(two: Mesh, internet: ClusterInternet) -> Iterator[Loops]:
    canary = internet.plan.records()["canary.test", "A"][0]
    with two.cluster.namespace() as name:
        two.cluster.apply(SERVICES, two.inject(APP.replace("CANARY", canary)), namespace=name)
        two.cluster.wait("Ready", "pod/app", namespace=name)
        made = Loops(two, internet, name)
        made.wait_for(3, "new")
        yield made


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "made-"},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {
                "name": "app",
                "image": "curlimages/curl",
                "imagePullPolicy": "IfNotPresent",
                "command": ["sleep", "infinity"],
            }
        ],
    },
}


class Maker:
    """Makes pods in a labelled namespace all the time; most only for show, as each that runs takes a second."""

    def __init__(self, mesh: Mesh, namespace: str) -> None:
        config = KubeConfig.from_file(mesh.cluster.kubeconfig)
        self.client: Any = Client(config, namespace=namespace)
        self.images = Counter[str]()
        self.problems: list[str] = []
        self._end = threading.Event()

    def make(self, *, only_for_show: bool = False) -> None:
        try:
            made = self.client.create(Pod.from_dict(POD), dry_run=only_for_show)
        except (ApiError, httpx2.HTTPError) as error:
            self.problems.append(str(error))
            return
        found = {each.name: each.image for each in (made.spec and made.spec.initContainers) or ()}
        if found.keys() < {"outgate-init", "outgate-proxy"}:
            self.problems.append(f"not captured: {made}")
        self.images[str(found.get("outgate-proxy"))] += 1

    def _run(self) -> None:
        while not self._end.wait(0.02):
            self.make(only_for_show=True)

    @contextlib.contextmanager
    def making(self) -> Iterator[None]:
        with ThreadPoolExecutor(2) as pool:
            running = [pool.submit(self._run) for _ in range(2)]
            try:
                yield
            finally:
                self._end.set()
            for each in running:
                each.result()
        self.client.close()


@pytest.fixture(scope="module")
def old(loops: Loops) -> list[str]:
    """The egress Envoys of before the upgrade."""
    found = ("get", "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/name=outgate-egress", "-o=name")
    return loops.mesh.cluster.kubectl(*found).split()


@pytest.mark.usefixtures("old")
def test_pods_that_are_made_during_an_upgrade_are_captured(loops: Loops) -> None:
    mesh = loops.mesh
    ctr = ("ctr", "--address", str(mesh.cluster.node.place.containerd), "--namespace", "k8s.io")
    for image in mesh.cluster.node.run(*ctr, "images", "ls", "-q").split():
        if image.startswith(f"{HUB}/"):
            name = image.replace(HUB, NEXT)
            mesh.cluster.node.run(*ctr, "images", "tag", "--force", image, name)
    with mesh.cluster.namespace(**{"outgate.dev/inject": "enabled"}) as name:
        maker = Maker(mesh, name)
        # In one thread at first: msgspec may crash where two read a type for the first time.
        maker.make()
        with maker.making():
            # The node hears late of where the webhook is: the one of before must serve on.
            mesh.cluster.stop("kube-proxy")
            # Controller and egress at once: each has to do while the other changes.
            apply(mesh, f"--egress-replicas 2 --hub {NEXT}")
            maker.make()
            settled(mesh)
            time.sleep(1)
            mesh.cluster.start("kube-proxy")
            maker.make()
            # The controller of before serves for some seconds yet.
            time.sleep(leaving.LINGER_SECONDS + leaving.SHORTEST_SECONDS)
        assert maker.problems == []
        assert len(maker.images) == 2, maker.images
        assert maker.images.total() > 100
        ready = ("wait", "-n", name, "--for=condition=Ready", "pod", "--all", "--timeout=60s")
        mesh.cluster.kubectl(*ready, seconds=70)


def test_another_replica_tells_a_proxy_nothing_that_it_has(loops: Loops) -> None:
    before = loops.updates()
    restart = ("rollout", "restart", "-n", SYSTEM, "deployment/outgate-controller")
    loops.mesh.cluster.kubectl(*restart)
    settled(loops.mesh)
    name = f"sidecar~app.{loops.namespace}"
    deadline = time.monotonic() + 40
    while (after := loops.updates()) == before or not after.get("control_plane.connected_state"):
        assert time.monotonic() < deadline, (before, after, name)
        time.sleep(0.5)
    changed = {key for key in after if after[key] != before[key]}
    # But for its certificate, of which nobody else has the key.
    assert changed == {"sds.workload.update_success"}, (before, after)


def test_no_call_has_failed_meanwhile(loops: Loops, old: list[str]) -> None:
    # They end only now: what they had was to be finished. Sidecars of before go on with the controller of after.
    gone = ("wait", "-n", SYSTEM, "--for=delete", "--timeout=60s", *old)
    loops.mesh.cluster.kubectl(*gone, seconds=70)
    loops.wait_for(2, "new", "kept", "long", since=len(loops.said()))
    assert [each for each in loops.said() if each.startswith("failed")] == []
    assert "escaped" not in loops.said()
    assert loops.escaped() == []


def test_while_one_of_two_egresses_is_killed_calls_go_by_the_other(loops: Loops) -> None:
    since = len(loops.said())
    killed = loops.mesh.cluster.node.run("pgrep", "-f", "^envoy.*egress~").split()[0]
    loops.mesh.cluster.node.run("kill", "-KILL", killed)
    loops.wait_for(10, "new", since=since)
    # One call may have been under way.
    assert len([each for each in loops.said()[since:] if each.startswith("failed: new")]) <= 1
    assert loops.escaped() == []
