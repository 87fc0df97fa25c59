"""Judges what else is in a cluster: namespaces that refuse injected pods, other injectors, who enforces policies."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from outgate.kube import naming
from outgate.kube.checks.findings import Finding, error, ok, some, warning

Item = Mapping[str, Any]
"""An object as the API server has it."""

_ENFORCE = "pod-security.kubernetes.io/enforce"
# Whose webhooks add a proxy to pods too, by how these are called.
_INJECTORS = {"istio": "Istio", "linkerd-proxy-injector": "Linkerd", "kuma": "Kuma"}
# They are asked for all namespaces, and heed a mark: a label, or an annotation.
_MARKS = {
    "Linkerd": ("linkerd.io/inject", ("enabled", "ingress")),
    "Kuma": ("kuma.io/sidecar-injection", ("enabled", "true")),
}
# Who may enforce network policies, by how their pods are called in their system's namespaces.
_ENGINES = {
    "calico-node": "Calico",
    "canal": "Canal",
    "cilium": "Cilium",
    "anetd": "Cilium (GKE)",
    "antrea-agent": "Antrea",
    "kube-router": "kube-router",
    "weave-net": "Weave Net",
    "ovnkube-node": "OVN-Kubernetes",
    "kindnet": "kindnet",
}


def labelled(namespaces: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the namespaces whose pods are to be captured."""
    return [
        each
        for each in namespaces
        if _labels(each).get(naming.INJECT_LABEL) == naming.INJECT_ENABLED
    ]


def security(namespaces: Sequence[Item]) -> Iterator[Finding]:
    """Judge whether labelled namespaces take injected pods: the init container needs NET_ADMIN, and is root."""
    wrong = {
        each["metadata"]["name"]: level
        for each in namespaces
        if (level := _labels(each).get(_ENFORCE, "privileged")) != "privileged"
    }
    if wrong:
        text = some(f"{name} ({level})" for name, level in wrong.items())
        hint = f"capture needs NET_ADMIN at a pod's start: label them {_ENFORCE}=privileged"
        yield error("pod security", f"injected pods are refused in {text}", hint)
    elif namespaces:
        names = some(each["metadata"]["name"] for each in namespaces)
        yield ok("pod security", f"no label refuses injected pods in {names}")
    else:
        label = f"{naming.INJECT_LABEL}={naming.INJECT_ENABLED}"
        yield ok("pod security", f"no namespace has the label {label} yet")


def injectors(webhooks: Iterable[Item], namespaces: Sequence[Item]) -> Iterator[Finding]:
    """Judge whether another injector takes pods of labelled namespaces too."""
    found: dict[str, set[str]] = {}
    for configuration in webhooks:
        name = configuration["metadata"]["name"]
        known = next((text for start, text in _INJECTORS.items() if name.startswith(start)), "")
        if not known:
            continue
        both = found.setdefault(known, set())
        for webhook in configuration.get("webhooks") or ():
            both |= {
                each["metadata"]["name"]
                for each in namespaces
                if _takes(webhook, each) and _is_marked(known, each)
            }
    for known, both in found.items():
        if both:
            hint = "two proxies in a pod catch each other's calls: label a namespace for one alone"
            yield warning("injectors", f"{known} takes pods of {some(sorted(both))} too", hint)
        else:
            yield ok(
                "injectors", f"{known} is here, but for no namespace that is labelled for Outgate"
            )
    if not found:
        yield ok("injectors", "no other that is known")


def engine(pods: Iterable[Item]) -> Iterator[Finding]:
    """Judge who enforces network policies, from the pods of system namespaces: what is there may be switched off."""
    names = [each["metadata"]["name"] for each in pods]
    found = {text for start, text in _ENGINES.items() if any(x.startswith(start) for x in names)}
    hint = "try one: a pod that is denied all egress must not reach the cluster's DNS"
    if found:
        text = f"{', '.join(sorted(found))} may enforce network policies"
        yield ok("network policies", f"{text}; whether it does is not known from this")
    else:
        yield warning("network policies", "unknown whether anything enforces them", hint)


def selects(selector: Item, labels: Mapping[str, str]) -> bool:
    """Whether a label selector of Kubernetes chooses what has these labels."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for each in selector.get("matchExpressions") or ():
        value, values = labels.get(each["key"]), each.get("values") or ()
        match each["operator"]:
            case "In" if value not in values:
                return False
            case "NotIn" if value in values:
                return False
            case "Exists" if value is None:
                return False
            case "DoesNotExist" if value is not None:
                return False
    return True


def _takes(webhook: Item, namespace: Item) -> bool:
    """Whether a webhook is asked for pods of a namespace that have no labels of their own."""
    return selects(webhook.get("namespaceSelector") or {}, _labels(namespace)) and selects(
        webhook.get("objectSelector") or {}, {}
    )


def _is_marked(known: str, namespace: Item) -> bool:
    if known not in _MARKS:
        return True
    key, values = _MARKS[known]
    said = (namespace["metadata"].get("annotations") or {}) | dict(_labels(namespace))
    return said.get(key) in values


def _labels(item: Item) -> Mapping[str, str]:
    return item["metadata"].get("labels") or {}
