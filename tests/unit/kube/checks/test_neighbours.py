"""Who else takes pods of a namespace, or refuses them, is seen from labels and selectors as Kubernetes reads them."""

from typing import Any

import pytest

from outgate.kube.checks import neighbours
from outgate.kube.checks.findings import Level

Labels = dict[str, str]


def namespace(
    name: str, labels: Labels | None = None, said: Labels | None = None
) -> dict[str, Any]:
    usual = {"outgate.dev/inject": "enabled", "kubernetes.io/metadata.name": name}
    metadata = {"name": name, "labels": usual | (labels or {}), "annotations": said or {}}
    return {"metadata": metadata}


def webhook(name: str, **selectors: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "webhooks": [{"name": "x", **selectors}]}


ISTIO = webhook(
    "istio-sidecar-injector",
    namespaceSelector={
        "matchLabels": {"istio-injection": "enabled"},
        "matchExpressions": [{"key": "istio.io/rev", "operator": "DoesNotExist"}],
    },
)
LINKERD = webhook(
    "linkerd-proxy-injector-webhook-config",
    namespaceSelector={
        "matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}
        ]
    },
)


def test_namespaces_that_refuse_injected_pods() -> None:
    level = "pod-security.kubernetes.io/enforce"
    spaces = [
        namespace("a"),
        namespace("b", {level: "baseline"}),
        namespace("c", {level: "restricted"}),
        namespace("d", {level: "privileged"}),
    ]
    (found,) = neighbours.security(spaces)
    assert (found.level, found.message) == (
        Level.ERROR,
        "injected pods are refused in b (baseline), c (restricted)",
    )
    assert next(iter(neighbours.security(spaces[:1]))).level is Level.OK
    assert next(iter(neighbours.security([]))).level is Level.OK


@pytest.mark.parametrize(
    ("configuration", "space", "level"),
    [
        (ISTIO, namespace("a", {"istio-injection": "enabled"}), Level.WARNING),
        (ISTIO, namespace("a", {"istio-injection": "disabled"}), Level.OK),
        (ISTIO, namespace("a"), Level.OK),
        (LINKERD, namespace("a", None, {"linkerd.io/inject": "enabled"}), Level.WARNING),
        (LINKERD, namespace("a"), Level.OK),
        (webhook("outgate"), namespace("a"), Level.OK),
    ],
)
def test_other_injectors(
    configuration: dict[str, Any], space: dict[str, Any], level: Level
) -> None:
    (found,) = neighbours.injectors([configuration], [space])
    assert found.level is level


def test_labelled_ones_are_those_with_our_label() -> None:
    other = {"metadata": {"name": "b", "labels": {"outgate.dev/inject": "false"}}}
    bare = {"metadata": {"name": "c"}}
    assert neighbours.labelled([namespace("a"), other, bare]) == [namespace("a")]


def test_nobody_is_said_to_enforce_policies_who_was_only_seen() -> None:
    (found,) = neighbours.engine([{"metadata": {"name": "calico-node-x7k2p"}}])
    assert "Calico may enforce" in found.message
    (found,) = neighbours.engine([{"metadata": {"name": "coredns-1"}}])
    assert (found.level, found.message) == (
        Level.WARNING,
        "unknown whether anything enforces them",
    )


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "b", "operator": "In", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "b", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_selectors(selector: dict[str, Any], chosen: bool) -> None:
    assert neighbours.selects(selector, {"a": "1"}) is chosen
