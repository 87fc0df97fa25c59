"""Says what would become of a call from a pod of a cluster: first what the pod's capture does, then the egress.

Without I/O. What a network policy would do to the call is not known here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outgate.kube import capturing
from outgate.kube.capturing import Captured
from outgate.kube.mesh import is_alias
from outgate.model.names import Name
from outgate.model.workloads import spiffe_id
from outgate.xds import naming
from outgate.xds.explaining import ALLOWED, DENIED, Target

DIRECT, UNCAPTURED = "direct", "not captured"
"""Further decisions: the call goes straight to where it was going, as one call, or as all of the pod's calls do."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the cluster: the controller's `answer` with the ranges `inside`, and a `service` of the name."""

    answer: Mapping[str, Any]
    inside: tuple[str, ...]
    domain: str
    service: Mapping[str, Any] | None = None


def explain(pod: Mapping[str, Any], called: Target, known: Known) -> dict[str, Any]:
    """Return the decision on a call from a pod, and what is behind it."""
    metadata = pod["metadata"]
    answer: dict[str, Any] = {"pod": str(Name(metadata["namespace"], metadata["name"]))}
    held = capturing.captured(pod)
    if held is None:
        why = f"{capturing.reason(pod)}; Outgate has no part in its calls"
        return answer | {"decision": UNCAPTURED, "reason": why}
    answer["identity"] = spiffe_id(known.domain, metadata["namespace"], held.service_account)
    if why := _straight(held, called, known):
        return answer | {"decision": DIRECT, "reason": why}
    found = dict(known.answer)
    if "resource" not in found:
        return answer | _undeclared(held, called, found)
    return answer | _declared(held, called, found)


def _straight(held: Captured, called: Target, known: Known) -> str:
    """Say why a call does not go to the egress; empty where it does."""
    inside = capturing.networks(known.inside)
    if (address := called.address) is not None:
        if address.is_loopback:
            return "it stays in the pod"
        if found := capturing.within(address, inside):
            return f"{address} is inside the cluster ({found})"
        return held.address(address, called.port)
    service = known.service
    spec = (service or {}).get("spec") or {}
    if service and (spec.get("type") != "ExternalName" or is_alias(spec, known.domain)):
        name = (
            f"service/{service['metadata']['name']} in namespace {service['metadata']['namespace']}"
        )
        return f"{name} is inside the cluster"
    # With DNS capture its address is one that is captured on every port.
    return "" if held.resolves else held.port(called.port)


def _undeclared(held: Captured, called: Target, answer: Mapping[str, Any]) -> dict[str, Any]:
    why = str(answer["reason"])
    if held.resolves and called.address is None and not held.include:
        why += "; in this pod the name does not resolve"
    if held.only:
        why += f"; it is captured {held.only}, and goes straight out elsewhere"
    return {"decision": DENIED, "reason": why}


def _declared(held: Captured, called: Target, answer: dict[str, Any]) -> dict[str, Any]:
    if answer["decision"] != ALLOWED:
        return answer
    if held.resolves:
        return answer | {"via": _VIA}
    if called.address is None and not _found_without_dns(answer):
        why = (
            "the cluster's own DNS gives the name its real address, by which neither plain TCP can be told apart,"
            " nor a wildcard, nor TLS that not all namespaces see; this pod has no DNS capture"
        )
        return {"resource": answer["resource"], "decision": DENIED, "reason": why}
    # Names have the real addresses in such a pod.
    answer.pop("address", None)
    if held.only:
        answer["reason"] += f"; captured {held.only}, straight out elsewhere"
    if "route" in answer:
        answer["listener"] = naming.CAPTURE
    return answer | {"via": _VIA}


def _found_without_dns(answer: Mapping[str, Any]) -> bool:
    """Whether a call is found by what it says: its Host, or TLS's server name where all callers find the same."""
    if str(answer["listener"]).startswith(naming.WILD):
        return False
    return "route" in answer or str(answer["cluster"]).startswith(naming.tls_prefix())


_VIA = "sidecar, tunnel, egress"
