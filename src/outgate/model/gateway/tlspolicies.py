"""BackendTLSPolicies: how the egress opens TLS to a Service's ports, and which of several policies counts.

On a port, one that names it by sectionName counts before one for all; then the older one, then by namespace and name.
"""

from collections.abc import Mapping

from outgate.model.declarations import Source, Tuning
from outgate.model.gateway.backends import verified
from outgate.model.gateway.known import Known, Place
from outgate.model.gateway.resolving import Reason, Refusal
from outgate.resources.gateway.backendtlspolicies import BackendTLSPolicy
from outgate.resources.gateway.references import SERVICE, PolicyTarget
from outgate.traffic.upstream import Upstream

Policies = Mapping[Source, BackendTLSPolicy]


def tunings(
    source: Source, policy: BackendTLSPolicy, rivals: Policies, known: Known
) -> tuple[Tuning, ...]:
    """Return what a policy says of those ports for which it counts, among `rivals`, which it is one of."""
    made = []
    for target in policy.targets:
        place = _place(target, known)
        ports = () if place is None else _won(source, target, place, rivals)
        if place is not None and ports:
            upstream = Upstream(tls=verified(policy.validation))
            made.append(Tuning(place.name, upstream, ports, target.path))
    return tuple(made)


def refusals(
    source: Source, policy: BackendTLSPolicy, rivals: Policies, known: Known
) -> tuple[Refusal, ...]:
    """Return which targets a policy does not count for, and which authorities cannot be used."""
    found = [
        refusal
        for target in policy.targets
        if (refusal := refused(source, target, rivals, known)) is not None
    ]
    return (*found, *unusable(policy))


def unusable(policy: BackendTLSPolicy) -> tuple[Refusal, ...]:
    """Return which authorities cannot be used, as they are of a kind that has no certificates."""
    return tuple(
        Refusal(Reason.INVALID_KIND, f"{each.object.kind} has no certificates", each.path)
        for each in policy.validation.authorities
        if not each.is_usable
    )


def refused(source: Source, target: PolicyTarget, rivals: Policies, known: Known) -> Refusal | None:
    """Say why a policy does not count for a target; None where it does, or where that is none of our business."""
    meant = target.object
    if (meant.group, meant.kind) == SERVICE and known.is_for_others(meant):
        return None
    if (meant.group, meant.kind) != SERVICE:
        message = f"{meant.kind} cannot be the target of a BackendTLSPolicy: a Service can"
        return Refusal(Reason.INVALID, message, target.path)
    place = _place(target, known)
    if place is None:
        return Refusal(Reason.TARGET_NOT_FOUND, known.missing(meant), target.path)
    if not _ports(target, place):
        message = f"{meant} has no port {target.section}"
        return Refusal(Reason.TARGET_NOT_FOUND, message, target.path)
    if not _won(source, target, place, rivals):
        message = f"another BackendTLSPolicy counts for {meant}: an older one, or one for its ports"
        return Refusal(Reason.CONFLICTED, message, target.path)
    return None


def _place(target: PolicyTarget, known: Known) -> Place | None:
    meant = target.object
    return known.place(meant) if (meant.group, meant.kind) == SERVICE else None


def _ports(target: PolicyTarget, place: Place) -> tuple[int, ...]:
    named = (port for port in place.ports if target.section in ("", port.name))
    return tuple(port.number for port in named)


def _won(source: Source, target: PolicyTarget, place: Place, rivals: Policies) -> tuple[int, ...]:
    others = [
        (rival, each, one)
        for rival, each in rivals.items()
        for one in each.targets
        if one.object == target.object
    ]

    def first(number: int) -> tuple[Source, str]:
        ranked = [
            (not one.section, each.metadata.creation_timestamp, rival, one.path)
            for rival, each, one in others
            if number in _ports(one, place)
        ]
        _, _, rival, path = min(ranked)
        return rival, path

    mine = (source, target.path)
    return tuple(number for number in _ports(target, place) if first(number) == mine)
