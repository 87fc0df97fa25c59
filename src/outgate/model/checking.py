"""What is wrong with a resource because of the others: it is hidden by one, or speaks of what there is not."""

from collections.abc import Iterator
from typing import Protocol

from outgate.model.attaching import (
    MOST_ROUTES,
    attachments,
    ruling,
    targets,
    too_many,
    without_effect,
)
from outgate.model.declarations import Declarations, Source, Tuning
from outgate.model.destinations import Destination, External, is_inside
from outgate.model.names import Name
from outgate.resources.problems import Problem, Severity
from outgate.traffic.references import NOWHERE


class Known(Protocol):
    """What there is, as `assembling.Assembly` has it."""

    domain: str

    def ranked(self, name: Name) -> list[Source]: ...
    def winner(self, name: Name) -> Destination | None: ...
    def find(self, target: Name, namespace: str) -> Destination | None: ...
    def hidden_by(self, destination: Destination) -> str: ...


def problems(known: Known, declared: Declarations) -> tuple[Problem, ...]:
    """Return all that is wrong with one resource."""
    return (
        *_conflicts(known, declared),
        *_astray(known, declared),
        *_lost(known, declared),
    )


def _conflicts(known: Known, declared: Declarations) -> Iterator[Problem]:
    for each in declared.destinations:
        first, *_ = known.ranked(each.name)
        if "." in each.name.name and is_inside(each.name.name, known.domain):
            message = f"{each.name.name} is a name inside the cluster, or has such below it"
            yield _problem(declared, "spec.hosts", message, "declare what is outside only")
        elif first != declared.source:
            message = (
                f"{each.name.name} is already declared by {first} in this namespace, which counts"
            )
            hint = "remove one of the two, or have one of them declare both"
            yield _problem(declared, "spec.hosts", message, hint)
        elif other := known.hidden_by(each):
            message = (
                f"{each.name.name} is declared in namespace {other} too, whose callers use that one"
            )
            yield _problem(declared, "spec.hosts", message, severity=Severity.WARNING)


def _astray(known: Known, declared: Declarations) -> Iterator[Problem]:
    namespace = declared.source.namespace
    for each in attachments(declared):
        found = known.find(each.target, namespace)
        path, name = each.path or "spec", each.target.name
        if found is None:
            message = f"nothing declares {name} for callers of this namespace"
            hint = "declare it, or correct the name"
            yield _problem(declared, path, message, hint, Severity.WARNING)
        elif not isinstance(found, External):
            message = f"{name} is inside: only calls to the outside can be changed"
            yield _problem(declared, path, message, severity=Severity.WARNING)
        elif isinstance(each, Tuning) and found.name.namespace != namespace:
            message = f"{name} is of namespace {found.name.namespace}: how it is connected to is said there"
            yield _problem(declared, path, message)
        elif isinstance(each, Tuning):
            for message in without_effect(each, found):
                yield _problem(declared, path, message, severity=Severity.WARNING)
        elif routes := too_many(each.rules, found):
            message = (
                f"is {routes} routes on all ports of {name}, at most {MOST_ROUTES} are allowed"
            )
            yield _problem(declared, path, message, "say less, or declare fewer ports")


def _lost(known: Known, declared: Declarations) -> Iterator[Problem]:
    viewer = declared.source.namespace
    for path, said in ruling(declared):
        for target in targets(said):
            named = Name(target.namespace, target.name)
            found = known.winner(named) if target.granted else known.find(named, viewer)
            if found is None and target != NOWHERE:
                message = (
                    f"leads to {target.name}, which nothing declares for callers of this namespace"
                )
                hint = "declare it: until then its share of the calls fails"
                yield _problem(declared, path, message, hint, Severity.WARNING)


def _problem(
    declared: Declarations,
    path: str,
    message: str,
    hint: str = "",
    severity: Severity = Severity.ERROR,
) -> Problem:
    return Problem(declared.location, str(declared.source), path, message, hint, severity)
