"""Each kind of workload, injected by hand or as it is made, starts captured and ends as it would without."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.cluster.commands import ClusterError
from tests.cluster.mesh.conftest import SYSTEM, Mesh

TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "work"}},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {
                "name": "work",
                "image": "curlimages/curl",
                "imagePullPolicy": "IfNotPresent",
                "command": ["sleep", "infinity"],
            }
        ],
    },
}
ONCE = json.loads(json.dumps(TEMPLATE))
ONCE["spec"] |= {"restartPolicy": "Never"}
ONCE["spec"]["containers"][0]["command"] = [
    *("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://httpbin.org/")
]
SELECTOR = {"matchLabels": {"app": "work"}}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "Pod": ("v1", {"spec": TEMPLATE["spec"], "metadata": TEMPLATE["metadata"]}),
    "Deployment": ("apps/v1", {"spec": {"selector": SELECTOR, "template": TEMPLATE}}),
    "ReplicaSet": ("apps/v1", {"spec": {"selector": SELECTOR, "template": TEMPLATE}}),
    "StatefulSet": (
        "apps/v1",
        {"spec": {"selector": SELECTOR, "template": TEMPLATE, "serviceName": "work"}},
    ),
    "DaemonSet": ("apps/v1", {"spec": {"selector": SELECTOR, "template": TEMPLATE}}),
    "ReplicationController": (
        "v1",
        {"spec": {"selector": {"app": "work"}, "template": TEMPLATE}},
    ),
    "Job": ("batch/v1", {"spec": {"template": ONCE}}),
    "CronJob": (
        "batch/v1",
        {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": ONCE}}}},
    ),
}


def manifest(kind: str) -> str:
    version, body = KINDS[kind]
    metadata = {**body.get("metadata", {}), "name": "work"}
    return yaml.safe_dump({"apiVersion": version, "kind": kind, **body, "metadata": metadata})


def pods(mesh: Mesh, namespace: str) -> list[dict[str, Any]]:
    found = mesh.cluster.kubectl("get", "pods", "-n", namespace, "-o=json")
    return list(json.loads(found)["items"])


def settle(mesh: Mesh, namespace: str, kind: str) -> str:
    """Wait until a workload does what it is for, and return what a call outside was answered."""
    if kind in ("Job", "CronJob"):
        if kind == "CronJob":
            made = ("create", "job", "work-1", "--from=cronjob/work")
            mesh.cluster.kubectl(*made, "-n", namespace)
        job = "job/work-1" if kind == "CronJob" else "job/work"
        # It ends although its sidecar would go on.
        mesh.cluster.wait("Complete", job, namespace=namespace)
        return mesh.cluster.kubectl("logs", "-n", namespace, job, "-c", "work")
    wait = ("wait", "-n", namespace, "--for=create", "pod", "-l", "app=work", "--timeout=30s")
    mesh.cluster.kubectl(*wait)
    ready = ("wait", "-n", namespace, "--for=condition=Ready", "pod", "-l", "app=work")
    mesh.cluster.kubectl(*ready, "--timeout=60s", seconds=70)
    name = str(pods(mesh, namespace)[0]["metadata"]["name"])
    call = ("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://httpbin.org/")
    return mesh.cluster.exec(name, *call, namespace=namespace, container="work")


@pytest.mark.parametrize("kind", KINDS)
def test_injected_by_hand(mesh: Mesh, namespace: str, kind: str) -> None:
    mesh.cluster.apply(mesh.inject(manifest(kind)), namespace=namespace)
    assert settle(mesh, namespace, kind) == "403"


@pytest.fixture
def labelled(mesh: Mesh) -> Iterator[str]:
    with mesh.cluster.namespace(**{"outgate.dev/inject": "enabled"}) as name:
        yield name


@pytest.mark.parametrize("kind", ["Pod", "Deployment", "Job"])
def test_injected_as_it_is_made(mesh: Mesh, labelled: str, kind: str) -> None:
    mesh.cluster.apply(manifest(kind), namespace=labelled)
    assert settle(mesh, labelled, kind) == "403"


def test_a_label_on_the_pod_is_enough(mesh: Mesh, namespace: str) -> None:
    pod = yaml.safe_load(manifest("Pod"))
    pod["metadata"]["labels"]["outgate.dev/inject"] = "enabled"
    mesh.cluster.apply(yaml.safe_dump(pod), namespace=namespace)
    assert settle(mesh, namespace, "Pod") == "403"


def test_others_are_left_alone(mesh: Mesh, namespace: str) -> None:
    mesh.cluster.apply(manifest("Pod"), namespace=namespace)
    assert settle(mesh, namespace, "Pod") == "200"


def test_a_pod_that_cannot_be_captured_is_not_made(mesh: Mesh, labelled: str) -> None:
    pod = yaml.safe_load(manifest("Pod"))
    pod["metadata"]["annotations"] = {"outgate.dev/exclude-ip-ranges": "10.0.0.1/33"}
    with pytest.raises(ClusterError, match=r"outgate.dev/exclude-ip-ranges: .* is not an IP range"):
        mesh.cluster.apply(yaml.safe_dump(pod), namespace=labelled)


@pytest.fixture
def without_controller(mesh: Mesh) -> Iterator[None]:
    scale = ("scale", "-n", SYSTEM, "deployment/outgate-controller")
    mesh.cluster.kubectl(*scale, "--replicas=0")
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
        mesh.cluster.apply(manifest("Pod"), namespace=labelled)
    # Where nobody asked for capture, nothing depends on us.
    mesh.cluster.apply(manifest("Pod"), namespace=namespace)
