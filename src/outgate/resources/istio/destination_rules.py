"""Istio's `DestinationRule`: how connections to a host are made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.documents import Document
from outgate.resources.istio.fields import check_fields
from outgate.resources.istio.policies import parse_policy
from outgate.resources.istio.reading import exported, host, version, whole
from outgate.resources.istio.tables import DESTINATION_RULE
from outgate.resources.metadata import ObjectMeta, parse_metadata
from outgate.resources.names import dns_subdomain
from outgate.resources.paths import child, item
from outgate.resources.ports import MAX_PORT
from outgate.resources.problems import Location, Problem
from outgate.traffic.references import Target
from outgate.traffic.upstream import Upstream

_TOP_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
_POLICY = "spec.trafficPolicy"


@dataclass(frozen=True, slots=True)
class DestinationRule:
    """A valid DestinationRule.

    `host` is what it is for (no namespace: a name of no Service), `policy` what holds for all ports but those of
    `port_policies`, for which theirs holds alone, as Istio has it.
    """

    metadata: ObjectMeta
    host: Target
    policy: Upstream
    port_policies: tuple[tuple[int, Upstream], ...]
    location: Location


def parse_destination_rule(
    document: Document, default_namespace: str
) -> tuple[DestinationRule | None, tuple[Problem, ...]]:
    """Read the DestinationRule in `document`, None if anything in it is an error, and all its problems."""
    check = Checker(document)
    check.unknown_fields(document.value, "", _TOP_FIELDS)
    version(check, document.value, "DestinationRule")
    metadata = parse_metadata(check, document, default_namespace, dns_subdomain)
    spec = check.mapping(document.value, "", "spec")
    if spec is None:
        if document.value.get("spec") is None:
            check.error("spec", "is required: it has the host and its trafficPolicy")
        return None, check.problems
    check_fields(check, spec, "spec", DESTINATION_RULE)
    target = host(check, spec, "spec", "host", metadata.namespace)
    if exported(check, spec, metadata.namespace) is not None:
        message = "it holds for all callers of the host"
        check.warning("spec.exportTo", message, "say in the host's own exportTo who may call it")
    # One that ends in .svc names its namespace, and so has a dot as others have.
    is_service = target is not None and bool(target.namespace)
    policy = check.mapping(spec, "spec", "trafficPolicy") or {}
    upstream = parse_policy(check, policy, _POLICY, metadata.namespace, is_service=is_service)
    ports = _ports(check, policy, metadata.namespace, is_service=is_service)
    if check.failed or target is None:
        return None, check.problems
    rule = DestinationRule(metadata, target, upstream, ports, document.location)
    return rule, check.problems


def _ports(
    check: Checker, policy: Mapping[str, Any], namespace: str, *, is_service: bool
) -> tuple[tuple[int, Upstream], ...]:
    found: dict[int, Upstream] = {}
    for index, entry in check.items(policy, _POLICY, "portLevelSettings"):
        path = item(child(_POLICY, "portLevelSettings"), index)
        port = check.mapping(entry, path, "port") or {}
        number = whole(check, port, child(path, "port"), "number", (1, MAX_PORT))
        upstream = parse_policy(check, entry, path, namespace, is_service=is_service)
        if number is None:
            if port.get("number") is None:
                check.error(child(path, "port"), "is required", "for example {number: 443}")
        elif number in found:
            check.error(child(path, "port"), f"{number} is already there", "remove one of the two")
        else:
            found[number] = upstream
    return tuple(found.items())
