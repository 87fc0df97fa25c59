"""What resources attach to a destination: rules for its calls, and how it is connected to.

Nobody says what becomes of another namespace's calls, nor how another namespace's destination is connected to.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from outgate.model.declarations import Declarations, Routing, Tuning
from outgate.model.destinations import External, Port
from outgate.traffic.references import Protocol, Target
from outgate.traffic.routing import Answer, Rule
from outgate.traffic.upstream import Upstream

MOST_ROUTES = 16384
"""What one resource may attach to a destination: each route costs the controller and every egress time and memory."""
REFUSED = Rule(answer=Answer(500))
"""Stands for rules that are more: those whom they are for are not led past them."""


def attachments(declared: Declarations) -> tuple[Routing | Tuning, ...]:
    """Return all that a resource attaches to destinations."""
    return (*declared.routings, *declared.tunings)


def targets(rules: Iterable[Rule]) -> tuple[Target, ...]:
    """Return all that rules lead to, each once, in the order written."""
    found: dict[Target, None] = {}
    for rule in rules:
        for backend in rule.backends:
            found.update(dict.fromkeys((backend.target, *backend.failover)))
        found.update(dict.fromkeys(mirror.target for mirror in rule.mirrors))
    return tuple(found)


def aimed(rule: Rule, resolve: Callable[[Target], Target]) -> Rule:
    """Return a rule with each target as `resolve` has it."""
    if not rule.backends and not rule.mirrors:
        return rule
    backends = (
        replace(
            each,
            target=resolve(each.target),
            failover=tuple(resolve(target) for target in each.failover),
        )
        for each in rule.backends
    )
    mirrors = (replace(each, target=resolve(each.target)) for each in rule.mirrors)
    return replace(rule, backends=tuple(backends), mirrors=tuple(mirrors))


def rules(attached: Iterable[Declarations], destination: External) -> list[Rule]:
    """Return attached rules, those for some callers first: what a consumer says ranks before a producer."""
    found: list[Rule] = []
    for declared in attached:
        namespace = declared.source.namespace
        own = namespace == destination.name.namespace
        for routing in declared.routings:
            if routing.target.name != destination.name.name:
                continue
            said = (REFUSED,) if too_many(routing.rules, destination) else routing.rules
            found += [
                each if own else replace(each, callers=frozenset((namespace,)))
                for each in said
                if own or each.callers is None or namespace in each.callers
            ]
    return sorted(found, key=lambda each: each.callers is None)


def too_many(said: Iterable[Rule], destination: External) -> int:
    """Return how many routes rules are for all ports of a destination, if one resource may not have so many; else 0."""
    numbers = [port.number for port in destination.ports if port.is_http]
    found = 0
    for rule in said:
        ports = len(set(rule.ports).intersection(numbers)) if rule.ports else len(numbers)
        backends = sum(1 + len(each.failover) for each in rule.backends)
        found += ports * (max(1, len(rule.matches)) + backends + len(rule.mirrors))
    return found if found > MOST_ROUTES else 0


def ruling(declared: Declarations) -> Iterator[tuple[str, tuple[Rule, ...]]]:
    """Yield all rules that a resource says, those of one place together, with the field that names it."""
    for each in declared.routings:
        yield each.path or "spec", each.rules
    # A resource says the same of all of its hosts.
    hosts = (each for each in declared.destinations if isinstance(each, External))
    if (first := next(hosts, None)) is not None:
        yield "spec.rules", first.rules


def without_effect(tuning: Tuning, destination: External) -> Iterator[str]:
    """Yield what a tuning says that is not done."""
    if tuning.upstream.tls is None:
        return
    for port in destination.ports:
        if port.protocol is Protocol.TLS and tuning.concerns(port.number):
            name = destination.name.name
            yield f"port {port.number} of {name} passes on the application's own TLS: none is opened there"


def tuned_ports(destination: External, attached: Iterable[Declarations]) -> tuple[Port, ...]:
    """Return a destination's ports, each as it is connected to."""
    ordered = tuple(attached)
    return tuple(
        replace(port, upstream=_tuned(port.number, port.upstream, ordered, destination))
        for port in destination.ports
    )


def _tuned(
    number: int, upstream: Upstream, attached: Iterable[Declarations], destination: External
) -> Upstream:
    """Return how a port is connected to: what the oldest tuning says, before the others, before the resource's own."""
    for declared in reversed(list(attached)):
        if declared.source.namespace != destination.name.namespace:
            continue
        for tuning in reversed(declared.tunings):
            named = tuning.target.name == destination.name.name
            if named and tuning.concerns(number):
                upstream = tuning.upstream.over(upstream)
    return upstream
