"""Each kind of workload, injected by hand or as it is made, starts captured and ends as it would without."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.cluster.commands import ClusterError
from tests.cluster.mesh.conftest import SYSTEM, Mesh

from outgate.kube.naming import INJECT_LABEL as INJECT

CALL = ("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}")
DENIED = "http://192.0.2.1/"
"""Nobody has the address (RFC 5737): who is captured is told why it is denied."""
CONTAINER = {
    "name": "work",
    "image": "curlimages/curl",
    "imagePullPolicy": "IfNotPresent",
    "command": ["sleep", "infinity"],
}
ONCE = {
    **CONTAINER,
    "command": [*CALL, DENIED],
}


def template(app: str, container: dict[str, Any], **spec: str) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec},
    }


def workload(kind: str, name: str, **labels: str) -> str:
    pod = template(name, CONTAINER)
    once = {"template": template(name, ONCE, restartPolicy="Never")}
    chosen = {"selector": {"matchLabels": {"app": name}}, "template": pod}
    version, spec = {
        "Pod": ("v1", pod["spec"]),
        "Deployment": ("apps/v1", chosen),
        "ReplicaSet": ("apps/v1", chosen),
        "StatefulSet": ("apps/v1", chosen | {"serviceName": name}),
        "DaemonSet": ("apps/v1", chosen),
        "ReplicationController": ("v1", {"selector": {"app": name}, "template": pod}),
        "Job": ("batch/v1", once),
        "CronJob": ("batch/v1", {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": once}}),
    }[kind]
    metadata = {"name": name, "labels": {"app": name, **labels}}
    return yaml.safe_dump({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})


BY_HAND = (
    *("Pod", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController"),
    *("Job", "CronJob"),
)
AS_MADE = ("Pod", "Deployment", "Job")


def settle(mesh: Mesh, namespace: str, kind: str, name: str, url: str = DENIED) -> str:
    """Wait until a workload does what it is for, and return what a call outside was answered."""
    if kind in ("Job", "CronJob"):
        job = f"job/{name}-1" if kind == "CronJob" else f"job/{name}"
        # It ends although its sidecar would go on.
        mesh.cluster.wait("Complete", job, namespace=namespace)
        return mesh.cluster.kubectl("logs", "-n", namespace, job, "-c", "work")
    chosen = ("pod", "-n", namespace, "-l", f"app={name}")
    mesh.cluster.kubectl("wait", "--for=create", *chosen, "--timeout=30s")
    mesh.cluster.kubectl("wait", "--for=condition=Ready", *chosen, "--timeout=60s", seconds=70)
    pod = mesh.cluster.kubectl("get", *chosen, "-o=jsonpath={.items[0].metadata.name}")
    return mesh.cluster.exec(pod, *CALL, url, namespace=namespace, container="work")


@pytest.fixture(scope="module")
def plain(mesh: Mesh) -> Iterator[str]:
    """A namespace in which some pods are captured; all of them start at once."""
    with mesh.cluster.namespace() as name:
        by_hand = mesh.inject("\n---\n".join(workload(each, each.lower()) for each in BY_HAND))
        others = (workload("Pod", "alone"), workload("Pod", "chosen", **{INJECT: "enabled"}))
        mesh.cluster.apply(by_hand, *others, namespace=name)
        mesh.cluster.kubectl("create", "job", "cronjob-1", "--from=cronjob/cronjob", "-n", name)
        yield name


@pytest.fixture(scope="module")
def labelled(mesh: Mesh, plain: str) -> Iterator[str]:
    """A namespace in which all are."""
    assert plain
    with mesh.cluster.namespace(**{INJECT: "enabled"}) as name:
        mesh.cluster.apply(*(workload(each, each.lower()) for each in AS_MADE), namespace=name)
        yield name


@pytest.mark.parametrize("kind", AS_MADE)
def test_injected_as_it_is_made(mesh: Mesh, labelled: str, kind: str) -> None:
    assert settle(mesh, labelled, kind, kind.lower()) == "403"


@pytest.mark.parametrize("kind", BY_HAND)
def test_injected_by_hand(mesh: Mesh, plain: str, kind: str) -> None:
    assert settle(mesh, plain, kind, kind.lower()) == "403"


def test_a_label_on_the_pod_is_enough(mesh: Mesh, plain: str) -> None:
    assert settle(mesh, plain, "Pod", "chosen") == "403"


def test_others_are_left_alone(mesh: Mesh, plain: str) -> None:
    assert settle(mesh, plain, "Pod", "alone", "http://httpbin.org/") == "200"


def test_a_pod_that_cannot_be_captured_is_not_made(mesh: Mesh, labelled: str) -> None:
    pod = yaml.safe_load(workload("Pod", "wrong"))
    pod["metadata"]["annotations"] = {"outgate.dev/exclude-ip-ranges": "10.0.0.1/33"}
    with pytest.raises(ClusterError, match=r"outgate.dev/exclude-ip-ranges: .* is not an IP range"):
        mesh.cluster.apply(yaml.safe_dump(pod), namespace=labelled)


@pytest.fixture
def without_controller(mesh: Mesh) -> Iterator[None]:
    scale = ("scale", "-n", SYSTEM, "deployment/outgate-controller")
    mesh.cluster.kubectl(*scale, "--replicas=0")
    # It would serve on for some seconds.
    mesh.cluster.node.run("pkill", "-KILL", "-f", "outgate controller --hub")
    gone = ("wait", "-n", SYSTEM, "--for=delete", "pod", "--timeout=60s")
    mesh.cluster.kubectl(*gone, "-l", "app.kubernetes.io/name=outgate-controller", seconds=70)
    yield
    mesh.cluster.kubectl(*scale, "--replicas=1")
    mesh.cluster.kubectl(
        *("rollout", "status", "-n", SYSTEM, "deployment/outgate-controller", "--timeout=60s")
    )


@pytest.mark.usefixtures("without_controller")
def test_nothing_is_made_uncaptured_while_nobody_can_inject(
    mesh: Mesh, labelled: str, namespace: str
) -> None:
    with pytest.raises(ClusterError, match="failed calling webhook"):
        mesh.cluster.apply(workload("Pod", "late"), namespace=labelled)
    # Where nobody asked for capture, nothing depends on us.
    mesh.cluster.apply(workload("Pod", "late"), namespace=namespace)
