"""All routes of one parent, from one namespace, as one list of rules: the first one that matches counts."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from outgate.model.declarations import Source
from outgate.model.gateway.backends import ROUTE_PROTOCOLS
from outgate.model.gateway.known import Known, Place
from outgate.model.gateway.precedence import Rank, rank
from outgate.model.gateway.resolving import (
    HTTP_KINDS,
    Attachment,
    Reason,
    Refusal,
    attach,
    kind_of,
    resolve,
)
from outgate.resources.gateway import routes as written
from outgate.resources.gateway.references import Object, Reference
from outgate.resources.gateway.routes import Route
from outgate.traffic.references import NOWHERE, Target
from outgate.traffic.routing import Answer, Backend, Edits, Match, Mirror, Rule

_BROKEN = {"GRPCRoute": Answer(503), "HTTPRoute": Answer(500)}
"""Answers where no backend can be used; to gRPC the first is UNAVAILABLE."""
_UNMATCHED = Answer(404)
"""To gRPC it is UNIMPLEMENTED."""


@dataclass(frozen=True, slots=True)
class Group:
    """Routes of one parent, from one namespace: for which ports each holds, and why some hold for none."""

    place: Place | None
    ports: Mapping[Source, tuple[int, ...]] = field(default_factory=dict)
    refused: Mapping[tuple[Source, str], Refusal] = field(default_factory=dict)
    """By route, and by the field that names the parent."""
    attached: frozenset[tuple[Source, str]] = frozenset()


def group(meant: Object, found: Mapping[Source, Route], known: Known) -> Group:
    """Attach routes to a parent: on each port those of the most specific kind hold, and no others."""
    attached: dict[tuple[Source, str], Attachment] = {}
    refused: dict[tuple[Source, str], Refusal] = {}
    for source, route in found.items():
        for parent in route.parents:
            if parent.object != meant:
                continue
            outcome = attach(route, parent, known)
            if isinstance(outcome, Refusal):
                refused[source, parent.path] = outcome
            elif outcome is not None:
                attached[source, parent.path] = outcome
    kinds = _kinds(attached, found)
    ports: dict[Source, set[int]] = {}
    for (source, path), attachment in attached.items():
        kind = kind_of(found[source])
        held = {number for number in attachment.ports if kinds[number] == kind}
        if held:
            ports.setdefault(source, set()).update(held)
        else:
            winner = kinds[attachment.ports[0]]
            message = (
                f"a {winner} is attached to the same port of {meant}, which counts before a {kind}"
            )
            refused[source, path] = Refusal(Reason.CONFLICTED, message, path)
    place = next((each.place for each in attached.values()), None)
    sorted_ports = {source: tuple(sorted(numbers)) for source, numbers in ports.items()}
    return Group(place, sorted_ports, refused, frozenset(attached.keys() - refused.keys()))


def _kinds(
    attached: Mapping[tuple[Source, str], Attachment], found: Mapping[Source, Route]
) -> dict[int, str]:
    """Return which kind counts on each port."""
    order = list(ROUTE_PROTOCOLS)
    kinds: dict[int, str] = {}
    for (source, _), attachment in attached.items():
        kind = kind_of(found[source])
        for number in attachment.ports:
            kinds[number] = min(kinds.get(number, kind), kind, key=order.index)
    return kinds


def rules(made: Group, found: Mapping[Source, Route], known: Known) -> tuple[Rule, ...]:
    """Return what a group says, in the order in which it counts; what no HTTP rule matches is answered with 404."""
    ranked: list[tuple[Rank, Rule]] = []
    for source, numbers in made.ports.items():
        if kind_of(found[source]) in HTTP_KINDS:
            ranked += _ranked(found[source], numbers, known)
    ordered = [rule for _, rule in sorted(ranked, key=lambda each: each[0])]
    http = sorted(
        {
            number
            for source, numbers in made.ports.items()
            if kind_of(found[source]) in HTTP_KINDS
            for number in numbers
        }
    )
    last = [Rule(ports=tuple(http), answer=_UNMATCHED)] if http else []
    return (*ordered, *last)


def _ranked(route: Route, ports: tuple[int, ...], known: Known) -> Iterator[tuple[Rank, Rule]]:
    for number, rule in enumerate(route.rules or (written.Rule("spec.rules"),)):
        for index, match in enumerate(rule.matches or (Match(),)):
            yield rank(route, match, number, index), _rule(route, rule, match, ports, known)


def _rule(
    route: Route, rule: written.Rule, match: Match, ports: tuple[int, ...], known: Known
) -> Rule:
    kind = kind_of(route)
    source = f"{kind.lower()}/{route.metadata.name}"
    matches = (match,)
    backends = tuple(_backends(route, rule.backends, known))
    usable = any(each.weight and each.target != NOWHERE for each in backends)
    if rule.unsupported or (rule.redirect is None and not usable):
        return Rule(matches=matches, ports=ports, answer=_BROKEN[kind], source=source)
    return Rule(
        matches=matches,
        ports=ports,
        backends=backends,
        redirect=rule.redirect,
        rewrite=rule.rewrite,
        request=rule.request,
        response=rule.response,
        timeouts=rule.timeouts,
        retries=rule.retries,
        mirrors=tuple(_mirrors(route, rule.mirrors, known)),
        source=source,
    )


def _backends(route: Route, backends: Iterable[written.Backend], known: Known) -> Iterator[Backend]:
    for each in backends:
        usable = not each.unsupported
        target = _target(route, each.reference, known) if usable else NOWHERE
        request, response = (
            (each.request, each.response) if target != NOWHERE else (Edits(), Edits())
        )
        yield Backend(target, each.reference.weight, request=request, response=response)


def _mirrors(route: Route, mirrors: Iterable[written.Mirrored], known: Known) -> Iterator[Mirror]:
    for each in mirrors:
        target = _target(route, each.reference, known)
        if target != NOWHERE:
            yield Mirror(target, each.percent)


def _target(route: Route, reference: Reference, known: Known) -> Target:
    found = resolve(route, reference, known)
    return NOWHERE if isinstance(found, Refusal) else found
