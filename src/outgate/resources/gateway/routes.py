"""What all kinds of routes share: parents, host names, rules with backends."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from outgate.resources.checks import Checker
from outgate.resources.documents import Document
from outgate.resources.gateway import reading, references
from outgate.resources.gateway.reading import Fields
from outgate.resources.gateway.references import Parent, Reference
from outgate.resources.hosts import hostname
from outgate.resources.metadata import ObjectMeta
from outgate.resources.names import dns_label
from outgate.resources.paths import child, item
from outgate.resources.problems import Location, Problem
from outgate.traffic.routing import Edits, Match, Redirect, Retries, Rewrite, Timeouts

MOST_RULES, MOST_MATCHES, MOST_BACKENDS = 16, 64, 16


@dataclass(frozen=True, slots=True)
class Backend:
    """One of a rule's backends; `unsupported` are filters of its own that cannot be done."""

    reference: Reference
    request: Edits = field(default_factory=Edits)
    response: Edits = field(default_factory=Edits)
    unsupported: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A backend that gets a copy of a share of the requests."""

    reference: Reference
    percent: float = 100.0


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `unsupported` are filters that cannot be done, for which the specification has requests fail."""

    path: str
    matches: tuple[Match, ...] = ()
    backends: tuple[Backend, ...] = ()
    mirrors: tuple[Mirrored, ...] = ()
    redirect: Redirect | None = None
    rewrite: Rewrite | None = None
    request: Edits = field(default_factory=Edits)
    response: Edits = field(default_factory=Edits)
    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: Retries | None = None
    unsupported: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """A valid route; each kind is a class of its own."""

    metadata: ObjectMeta
    parents: tuple[Parent, ...]
    hostnames: tuple[str, ...]
    rules: tuple[Rule, ...]
    location: Location = field(default_factory=Location)


RuleReader = Callable[[Checker, Fields, str, str], Rule]
"""Makes a rule of its fields, which stand at a path, in a route of a namespace."""


_Made = TypeVar("_Made", bound=Route)


@dataclass(frozen=True, slots=True)
class Form(Generic[_Made]):
    """What is special to one kind of routes."""

    kind: type[_Made]
    versions: tuple[str, ...]
    fields: frozenset[str]
    rule: RuleReader
    hostnames_hint: str = ""
    """What to write instead of host names, which have no meaning where a route is not attached to a Gateway."""
    most_rules: int = MOST_RULES


def parse(
    document: Document, namespace: str, form: Form[_Made]
) -> tuple[_Made | None, tuple[Problem, ...]]:
    """Read a route, None if anything in it is an error, and all its problems."""
    check = Checker(document)
    metadata, spec = reading.head(check, document, namespace, form.versions)
    if spec is None:
        return None, check.problems
    check.unknown_fields(spec, "spec", form.fields)
    reading.unsupported(
        check, spec, "spec", {"useDefaultGateways": "name a Service or an XBackend in parentRefs"}
    )
    parents = references.parents(check, spec, metadata.namespace)
    if not spec.get("parentRefs"):
        check.warning("spec.parentRefs", "names no parent, so the route has no effect")
    rules = _rules(check, spec, metadata.namespace, form)
    hostnames = _hostnames(check, spec)
    if hostnames and form.hostnames_hint:
        message = "has no effect where the parent is what is called"
        check.warning("spec.hostnames", message, form.hostnames_hint)
    if check.failed:
        return None, check.problems
    route = form.kind(metadata, parents, hostnames, rules, document.location)
    return route, check.problems


def _rules(check: Checker, spec: Fields, namespace: str, form: Form[_Made]) -> tuple[Rule, ...]:
    items = check.items(spec, "spec", "rules")
    if len(items) > form.most_rules:
        check.error("spec.rules", f"has {len(items)} rules, at most {form.most_rules} are allowed")
    found = []
    for index, entry in items:
        path = item("spec.rules", index)
        name = check.string(entry, path, "name")
        if name:
            check.flaw(child(path, "name"), dns_label(name))
        found.append(form.rule(check, entry, path, namespace))
    return tuple(found)


def _hostnames(check: Checker, spec: Fields) -> tuple[str, ...]:
    found = []
    for index, text in enumerate(texts(check, spec, "spec", "hostnames")):
        path = item("spec.hostnames", index)
        if not check.flaw(path, hostname(text.removeprefix("*."))):
            found.append(text)
    return tuple(found)


def texts(check: Checker, parent: Fields, path: str, key: str) -> list[str]:
    value = parent.get(key)
    if value is None:
        return []
    here = child(path, key)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        check.error(here, "must be a list of strings")
        return []
    return list(value)


_Found = TypeVar("_Found")


def each(
    check: Checker,
    parent: Fields,
    path: str,
    key: str,
    read: Callable[[Fields, str], _Found | None],
    most: int = MOST_BACKENDS,
) -> tuple[_Found, ...]:
    """Read the items of a list, of which at most `most` are allowed; invalid ones are left out."""
    items = check.items(parent, path, key)
    here = child(path, key)
    if len(items) > most:
        check.error(here, f"has {len(items)} items, at most {most} are allowed")
    made = (read(entry, item(here, index)) for index, entry in items)
    return tuple(one for one in made if one is not None)


def plain_rule(check: Checker, entry: Fields, path: str, namespace: str) -> Rule:
    """Read a rule that has backends alone, as those of connections do."""
    check.unknown_fields(entry, path, ("name", "backendRefs"))

    def one(fields: Fields, at: str) -> Backend | None:
        reference = references.backend(check, fields, at, namespace)
        return None if reference is None else Backend(reference)

    if not entry.get("backendRefs"):
        check.error(child(path, "backendRefs"), "is required: at least one backend")
    return Rule(path, backends=each(check, entry, path, "backendRefs", one))
