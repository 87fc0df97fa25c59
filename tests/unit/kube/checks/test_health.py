"""Why an installation does not work is said in its own words."""

from typing import Any

import pytest

from outgate import __version__
from outgate.kube.checks import health, permissions
from outgate.kube.checks.findings import Level
from outgate.kube.manifests import Install, manifests
from outgate.kube.plain import Resource


def deployment(**status: int) -> dict[str, Any]:
    usual = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2}
    metadata = {"name": "outgate-controller", "generation": 2}
    return {"metadata": metadata, "spec": {"replicas": 2}, "status": usual | status}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"status": {"containerStatuses": [{"name": "controller", "state": state}]}}


@pytest.mark.parametrize(
    ("status", "pods", "said", "level", "text"),
    [
        ({}, [], "", Level.OK, "2 of 2 ready"),
        ({"readyReplicas": 1}, [], "", Level.ERROR, "1 of 2 ready: they are starting"),
        # The old ones serve while the new ones do not come up.
        ({"replicas": 3, "updatedReplicas": 1}, [], "", Level.WARNING, "2 of 2 ready, and others"),
        (
            {"replicas": 3, "updatedReplicas": 1},
            [waiting("CrashLoopBackOff", "back-off 10s")],
            "no ServiceCIDR",
            Level.ERROR,
            "2 of 2 ready: controller: CrashLoopBackOff (back-off 10s); no ServiceCIDR",
        ),
        (
            {"readyReplicas": 0},
            [waiting("ImagePullBackOff", "not found")],
            "",
            Level.ERROR,
            "0 of 2 ready: controller: ImagePullBackOff (not found)",
        ),
        ({"readyReplicas": 0}, [waiting("PodInitializing")], "", Level.ERROR, "they are starting"),
        ({"observedGeneration": 1}, [], "", Level.WARNING, "2 of 2 ready"),
    ],
)
def test_deployments(
    status: dict[str, int], pods: list[dict[str, Any]], said: str, level: Level, text: str
) -> None:
    found = health.deployment(deployment(**status), pods, said)
    assert found.level is level
    assert text in found.message


def test_a_pod_that_has_no_node() -> None:
    condition = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: too small"}
    assert "too small" in health.trouble({"status": {"conditions": [condition]}})


def test_the_last_error_of_a_log() -> None:
    assert health.last_error("2026 INFO x\nerror: first\nerror: last (why)\n") == "last (why)"
    assert health.last_error("2026 ERROR: x\n") == ""


def test_versions_are_compared() -> None:
    def images(*names: str) -> list[dict[str, Any]]:
        containers = [{"name": "c", "image": each} for each in names]
        return [{"spec": {"template": {"spec": {"containers": containers}}}}]

    (found,) = health.versions(images(f"r.test:5000/x/outgate:{__version__}", "other:1"))
    assert found.level is Level.OK
    (found,) = health.versions(images("r.test:5000/x/outgate:v9"))
    assert (found.level, "v9" in found.message) == (Level.WARNING, True)


@pytest.mark.parametrize(
    ("status", "message", "injected", "level"),
    [
        (0, "", True, Level.OK),
        (0, "", False, Level.ERROR),
        (500, 'failed calling webhook "pod.outgate.dev": context deadline', False, Level.ERROR),
        (403, 'violates PodSecurity "restricted": container "outgate-init"', False, Level.OK),
        (403, 'pods is forbidden: User "x" cannot create', False, Level.WARNING),
    ],
)
def test_a_pod_for_trial(status: int, message: str, injected: bool, level: Level) -> None:
    assert health.answer(status, message, injected=injected).level is level


def test_whom_the_api_server_trusts() -> None:
    def webhook(bundle: str | None) -> dict[str, Any]:
        return {"webhooks": [{"name": "a", "clientConfig": {"caBundle": bundle}}]}

    assert health.trust(webhook("x")).level is Level.OK
    assert health.trust(webhook(None)).level is Level.ERROR
    assert health.trust(None).level is Level.ERROR


def test_what_an_installation_needs_follows_from_its_manifests() -> None:
    made = manifests(Install())
    kinds = {(each["apiVersion"], each["kind"]) for each in made}
    known = [
        Resource(*_split(version), f"{kind.lower()}s", kind, namespaced=True, verbs=())
        for version, kind in kinds
        if kind != "PodDisruptionBudget"
    ]
    rights, missing = permissions.needed(made, known)
    assert missing == ["PodDisruptionBudget (policy/v1)"]
    assert "create deployments.apps -n outgate-system" in map(str, rights)
    assert "patch namespaces" in map(str, rights)
    assert {each.plural for each in rights} == {each.plural for each in known}
    granted = list(map(str, permissions.granted(made)))
    assert "create tokenreviews.authentication.k8s.io" in granted
    assert "create secrets -n outgate-system" in granted


def _split(version: str) -> tuple[str, str]:
    group, _, number = version.rpartition("/")
    return group, number
