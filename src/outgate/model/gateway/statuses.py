"""What has become of a resource, as the conditions that the Gateway API specifies.

`Programmed` is said beside the specified ones: whether every connected egress has it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from outgate.model.conditions import PLAIN, POLICIES, ROUTES, Condition, Entry, Shape
from outgate.model.declarations import Source
from outgate.model.gateway import tlspolicies
from outgate.model.gateway.relations import Relations
from outgate.model.gateway.resolving import Reason, Refusal, references, resolve
from outgate.resources.gateway.reading import GROUP
from outgate.resources.gateway.references import CALLABLE
from outgate.resources.gateway.routes import Route

EGRESS = {"group": "", "kind": "Service", "namespace": "outgate-system", "name": "outgate-egress"}
"""What an XBackend is connected to by: its status must name a parent, and it has none by itself."""

_ROUTES = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute")
_NATIVE = ("ExternalService", "EgressPolicy")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of a resource besides what it says: `errors` are its own, `refused` the egress's words about it."""

    errors: tuple[str, ...] = ()
    programmed: bool = False
    refused: str = ""


def shape(kind: str) -> Shape | None:
    """Return where conditions of a kind stand; None for one in which we say nothing."""
    if kind in _ROUTES or kind == "XBackend":
        return ROUTES
    if kind == "BackendTLSPolicy":
        return POLICIES
    return PLAIN if kind in _NATIVE else None


def entries(
    source: Source, spec: Mapping[str, Any], relations: Relations, outcome: Outcome
) -> tuple[Entry, ...]:
    """Return what is to be said of a resource; nothing of one that is none of our business."""
    if source.kind in _NATIVE:
        return (Entry({}, _plain(outcome)),)
    if source.kind == "XBackend":
        return (Entry(EGRESS, (_plain(outcome)[0], _resolved(()), _plain(outcome)[1])),)
    if outcome.errors:
        return tuple(_invalid(source, spec, outcome))
    if (route := relations.routes.get(source)) is not None:
        return tuple(_route(source, route, relations, outcome))
    if source in relations.policies:
        return tuple(_policy(source, relations, outcome))
    return ()


def _plain(outcome: Outcome) -> tuple[Condition, Condition]:
    if outcome.errors:
        return (
            Condition("Accepted", False, Reason.INVALID, "; ".join(outcome.errors)),
            Condition("Programmed", False, Reason.INVALID, "it is not accepted"),
        )
    return Condition("Accepted", True, Reason.ACCEPTED, "it is valid"), _programmed(outcome)


def _programmed(outcome: Outcome) -> Condition:
    if outcome.refused:
        said = f"Envoy refused it: {outcome.refused}"
        return Condition("Programmed", False, Reason.INVALID, said)
    if outcome.programmed:
        said = "every connected egress Envoy has it"
        return Condition("Programmed", True, Reason.PROGRAMMED, said)
    return Condition("Programmed", None, Reason.PENDING, "not every egress Envoy has it yet")


def _resolved(refusals: Iterable[Refusal]) -> Condition:
    """Say whether all references lead somewhere: the first that does not gives the reason."""
    found = tuple(refusals)
    if not found:
        return Condition("ResolvedRefs", True, Reason.RESOLVED_REFS, "all references are resolved")
    said = "; ".join(f"{each.path}: {each.message}" for each in found)
    return Condition("ResolvedRefs", False, found[0].reason, said)


def _invalid(source: Source, spec: Mapping[str, Any], outcome: Outcome) -> Iterable[Entry]:
    """Say of a resource that cannot be used what is wrong, to each object that it names and that may be ours."""
    policy = source.kind == "BackendTLSPolicy"
    listed = spec.get("targetRefs" if policy else "parentRefs")
    reason = Reason.INVALID if policy else Reason.UNSUPPORTED_VALUE
    said = "; ".join(outcome.errors)
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, Mapping) and _may_be_ours(each):
            conditions = (
                Condition("Accepted", False, reason, said),
                Condition("Programmed", False, Reason.INVALID, "it is not accepted"),
            )
            yield Entry(dict(each), conditions)


def _may_be_ours(reference: Mapping[str, Any]) -> bool:
    return (reference.get("group", GROUP), reference.get("kind", "Gateway")) in CALLABLE


def _route(source: Source, route: Route, relations: Relations, outcome: Outcome) -> Iterable[Entry]:
    resolved = _resolved(
        found
        for each in references(route.rules)
        if isinstance(found := resolve(route, each, relations.known), Refusal)
    )
    for parent in route.parents:
        group = relations.group(source, parent.object)
        refusal = group.refused.get((source, parent.path)) if group else None
        if group is None or (refusal is None and (source, parent.path) not in group.attached):
            continue
        accepted = _accepted(route, refusal)
        last = _programmed(outcome)
        if not accepted[0].status:
            last = Condition("Programmed", False, Reason.INVALID, "it is not accepted")
        yield Entry(dict(parent.written), (*accepted, resolved, last))


def _accepted(route: Route, refusal: Refusal | None) -> tuple[Condition, ...]:
    if refusal is not None:
        said = f"{refusal.path}: {refusal.message}"
        return (Condition("Accepted", False, refusal.reason, said),)
    wrong = [each for each in route.rules if each.unsupported]
    said = "; ".join(f"{each.path}.filters: {', '.join(each.unsupported)}" for each in wrong)
    if wrong and len(wrong) == len(route.rules):
        message = f"not supported, so that all requests are answered with an error: {said}"
        return (Condition("Accepted", False, Reason.UNSUPPORTED_VALUE, message),)
    made = (Condition("Accepted", True, Reason.ACCEPTED, "the route is attached"),)
    if not wrong:
        return made
    message = f"requests that fall under these rules are answered with an error: {said}"
    return (*made, Condition("PartiallyInvalid", True, Reason.UNSUPPORTED_VALUE, message))


def _policy(source: Source, relations: Relations, outcome: Outcome) -> Iterable[Entry]:
    policy = relations.policies[source]
    rivals = relations.rivals(policy)
    wrong = tlspolicies.unusable(policy)
    for target in policy.targets:
        if relations.known.is_for_others(target.object):
            continue
        refusal = tlspolicies.refused(source, target, rivals, relations.known)
        first = Condition("Accepted", True, Reason.ACCEPTED, "the policy counts")
        if refusal is not None:
            said = f"{refusal.path}: {refusal.message}"
            first = Condition("Accepted", False, refusal.reason, said)
        elif wrong:
            said = "no certificate can be trusted, so that all calls fail"
            first = Condition("Accepted", False, Reason.NO_VALID_CA_CERTIFICATE, said)
        last = _programmed(outcome)
        if not first.status:
            last = Condition("Programmed", False, Reason.INVALID, "it is not accepted")
        reference = {
            "group": target.object.group,
            "kind": target.object.kind,
            "namespace": target.object.namespace,
            "name": target.object.name,
        } | ({"sectionName": target.section} if target.section else {})
        yield Entry(reference, (first, _resolved(wrong), last))
