"""A pod's beginning and end: a call at its very start is captured and answered, one under way at its end finishes."""

import subprocess
import time
from collections.abc import Iterator

import pytest
from tests.cluster.internet import ClusterInternet
from tests.cluster.mesh.conftest import SERVICES, Mesh

CALL = "curl -sS -m 10 -o /dev/null -w 'code=%{http_code}\\n'"
STARTS = f"""
apiVersion: v1
kind: Pod
metadata: {{name: starts}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  initContainers:
  - name: first
    image: curlimages/curl
    imagePullPolicy: IfNotPresent
    command: [sh, -c]
    args: ["{CALL} http://externalbin/headers; {CALL} http://CANARY:9999/"]
  containers:
  - name: app
    image: curlimages/curl
    imagePullPolicy: IfNotPresent
    command: [sh, -c]
    args: ["{CALL} http://externalbin/headers; {CALL} http://CANARY:9999/"]
"""
ENDS = f"""
apiVersion: v1
kind: Pod
metadata: {{name: ends}}
spec:
  terminationGracePeriodSeconds: 20
  containers:
  - name: app
    image: curlimages/curl
    imagePullPolicy: IfNotPresent
    command: [sh, -c]
    args:
    - |
      until curl -sf -m 2 -o /dev/null http://externalbin/headers; do sleep 0.2; done
      trap : TERM
      {CALL} http://externalbin/delay/4 &
      echo started
      while kill -0 $! 2>/dev/null; do wait $!; done
      echo finished
"""


@pytest.fixture(scope="module")
def namespace(mesh: Mesh) -> Iterator[str]:
    """Where services are declared, and callable."""
    with mesh.cluster.namespace() as name:
        probe = ENDS.replace("name: ends", "name: probe").replace("delay/4", "headers")
        mesh.cluster.apply(SERVICES, mesh.inject(probe), namespace=name)
        mesh.cluster.kubectl(
            "wait", "-n", name, "pod/probe", "--for=jsonpath={.status.phase}=Running"
        )
        wait(mesh, name, "probe", "finished")
        yield name


def wait(mesh: Mesh, namespace: str, pod: str, said: str) -> None:
    for _ in range(150):
        if said in mesh.cluster.kubectl(
            "logs", "-n", namespace, pod, "-c", "app", "--ignore-errors"
        ):
            return
        time.sleep(0.2)
    pytest.fail(f"{pod} never said {said!r}")


def test_calls_at_the_very_start_are_captured_and_answered(
    mesh: Mesh, internet: ClusterInternet, namespace: str
) -> None:
    before = len(internet.canary())
    canary = internet.plan.records()["canary.test", "A"][0]
    mesh.cluster.apply(mesh.inject(STARTS.replace("CANARY", canary)), namespace=namespace)
    ended = ("--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    mesh.cluster.kubectl("wait", "-n", namespace, "pod/starts", *ended, seconds=70)
    for container in ("first", "app"):
        said = mesh.cluster.kubectl("logs", "-n", namespace, "starts", "-c", container)
        assert said.split() == ["code=200", "code=403"]
    path = ("get", "pod", "starts", "-n", namespace, "-o=jsonpath={.status.podIPs[*].ip}")
    own = set(mesh.cluster.kubectl(*path).split())
    assert own
    assert [each for each in internet.canary(before) if each.get("source") in own] == []


@pytest.mark.parametrize("mode", ["native", "container"])
def test_a_call_under_way_at_the_end_finishes(mesh: Mesh, namespace: str, mode: str) -> None:
    mesh.cluster.apply(mesh.inject(ENDS, f"--sidecar={mode}"), namespace=namespace)
    mesh.cluster.wait("Ready", "pod/ends", namespace=namespace)
    wait(mesh, namespace, "ends", "started")
    follow = ("logs", "-f", "-n", namespace, "ends", "-c", "app")
    command = [*mesh.cluster.command, *follow]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as log:
        began = time.monotonic()
        mesh.cluster.kubectl("delete", "pod", "ends", "-n", namespace, "--wait=false")
        said, _ = log.communicate(timeout=30)
    assert said.split() == ["started", "code=200", "finished"]
    # It was under way when the pod was told to end, and the pod does not take all the time that it may.
    mesh.cluster.kubectl("wait", "-n", namespace, "--for=delete", "pod/ends", "--timeout=30s")
    assert 1 < time.monotonic() - began < 15
