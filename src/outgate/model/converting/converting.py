"""From ServiceEntries, with all that is attached to them, to ExternalServices; and what cannot be said so."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from outgate.model.assembling import Assembly
from outgate.model.attaching import attachments, targets
from outgate.model.converting.simplifying import anonymous, common, simplified
from outgate.model.converting.writing import spec
from outgate.model.declarations import Declarations
from outgate.model.deriving import declare, source_of
from outgate.model.destinations import External
from outgate.model.names import Name
from outgate.resources.documents import Document, Lines
from outgate.resources.istio.service_entries import ServiceEntry
from outgate.resources.kinds import Resources, parse
from outgate.resources.problems import Location, Problem, Severity
from outgate.traffic.routing import Rule

_API_VERSION = "outgate.dev/v1alpha1"
_ATTACHED = ("VirtualService", "DestinationRule")
_KEEP = "keep the Istio resources for this host"


@dataclass(frozen=True, slots=True)
class Converted:
    """ExternalServices as documents, and what is wrong or cannot be said; an entry with an error has no document."""

    documents: tuple[Mapping[str, Any], ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A ServiceEntry, its effective destinations, and what was made of them."""

    resource: ServiceEntry
    effective: tuple[External, ...]
    documents: tuple[dict[str, Any], ...]


def convert(resources: Resources) -> Converted:
    """Convert all ServiceEntries of `resources`; what else is among these may be referred to.

    None is converted where a VirtualService or DestinationRule is invalid: nobody knows what it would have said of it.
    """
    assembly = _assembled(resources.every())
    problems = [each for found in assembly.found.values() for each in found]
    entries: list[_Entry] = []
    for resource in resources.service_entries:
        effective = tuple(_effective(assembly, resource))
        lost = tuple(_lost(resource, effective))
        problems += lost
        if not lost and effective:
            entries.append(_Entry(resource, effective, tuple(_written(resource, effective))))
    for declared in assembly.declared.values():
        problems += _elsewhere(assembly, declared)
    wrong = _checked(resources, entries)
    problems += wrong.values()
    if any(_is_attached(each) and each.severity is Severity.ERROR for each in resources.problems):
        entries = []
    documents = tuple(
        document
        for entry in entries
        if entry.resource.location not in wrong
        for document in entry.documents
    )
    ordered = sorted(problems, key=lambda each: (each.location, each.path, each.message))
    return Converted(documents, tuple(ordered))


def _is_attached(problem: Problem) -> bool:
    return problem.resource.startswith(tuple(f"{each.lower()}/" for each in _ATTACHED))


def _assembled(resources: Iterable[Any]) -> Assembly:
    assembly = Assembly()
    assembly.update([(source_of(each), declare(each)) for each in resources])
    return assembly


def _effective(assembly: Assembly, entry: ServiceEntry) -> Iterator[External]:
    source = str(source_of(entry))
    for host in entry.hosts:
        found = assembly.effective.get(Name(entry.metadata.namespace, host))
        if isinstance(found, External) and found.source == source:
            yield found


def _written(entry: ServiceEntry, effective: Iterable[External]) -> Iterator[dict[str, Any]]:
    """Yield a document for all hosts that are called alike."""
    groups: dict[External, list[str]] = {}
    for each in effective:
        alike = replace(anonymous(each), name=Name(each.name.namespace, ""), host="")
        groups.setdefault(alike, []).append(each.name.name)
    meta = entry.metadata
    for number, (external, hosts) in enumerate(groups.items(), start=1):
        name = meta.name if number == 1 else f"{meta.name}-{number}"
        metadata: dict[str, Any] = {"name": name, "namespace": meta.namespace}
        if meta.labels:
            metadata["labels"] = dict(meta.labels)
        yield {
            "apiVersion": _API_VERSION,
            "kind": "ExternalService",
            "metadata": metadata,
            "spec": spec(external, hosts),
        }


def _lost(entry: ServiceEntry, effective: Iterable[External]) -> Iterator[Problem]:
    """Yield what an ExternalService cannot say, each once."""
    said: set[str] = set()
    for external in effective:
        for message in _unsayable(external):
            if message not in said:
                said.add(message)
                yield _problem(entry, message)


def _unsayable(external: External) -> Iterator[str]:
    simple = simplified(external)
    if common(simple) is None:
        yield "its ports are connected to in different ways, and an ExternalService has one for all"
    for rule in simple.rules:
        for what in _unsayable_of(rule):
            yield f"{rule.source} has {what}, which an ExternalService cannot say"


def _unsayable_of(rule: Rule) -> Iterator[str]:
    if rule.callers is not None:
        yield f"routes for callers of {', '.join(sorted(rule.callers)) or 'no namespace'} only"
    fields = [field for match in rule.matches for field in match.headers]
    for name in sorted({each.name for each in fields if each.name.startswith(":")}):
        yield f"a match on {name[1:]} that is not a list of exact values"
    if rule.redirect is not None and rule.redirect.prefix is not None:
        yield "a redirect of a plain prefix"
    for target in targets((rule,)):
        if not target.namespace:
            yield f"a route to {target.name}, which nothing declares"


def _elsewhere(assembly: Assembly, declared: Declarations) -> Iterator[Problem]:
    """Yield what Istio's resources say of destinations that are no ServiceEntry's."""
    if declared.source.kind not in _ATTACHED:
        return
    for each in attachments(declared):
        found = assembly.find(each.target, declared.source.namespace)
        if isinstance(found, External) and not found.source.startswith("serviceentry/"):
            message = f"{found.source} is not converted, and so not what is said of it here"
            hint = "keep this resource, or declare the host in an ExternalService"
            place = declared.location
            yield Problem(place, str(declared.source), each.path, message, hint)


def _checked(resources: Resources, entries: Iterable[_Entry]) -> dict[Location, Problem]:
    """Read what was written, and return what is wrong with it, by the ServiceEntry's location."""
    documents = [
        Document(document, entry.resource.location, Lines(entry.resource.location.line, {}))
        for entry in entries
        for document in entry.documents
    ]
    read = parse(documents)
    converted = {id(entry.resource) for entry in entries}
    kept = [
        each
        for each in resources.every()
        if type(each).__name__ not in _ATTACHED and id(each) not in converted
    ]
    assembly = _assembled((*kept, *read.every()))
    wrong: dict[Location, Problem] = {}
    for entry in entries:
        refused = [each for each in read.problems if each.location == entry.resource.location]
        refused = [each for each in refused if each.severity is Severity.ERROR]
        different = [
            each.name.name
            for each in entry.effective
            if not _same(each, assembly.effective.get(each.name))
        ]
        if refused:
            path, message = refused[0].path, refused[0].message
            text = f"an ExternalService cannot say it: {path}: {message}"
            wrong[entry.resource.location] = _problem(entry.resource, text)
        elif different:
            text = f"an ExternalService cannot say all that is said of {', '.join(different)}"
            wrong[entry.resource.location] = _problem(entry.resource, text)
    return wrong


def _same(before: External, after: Any) -> bool:
    return isinstance(after, External) and anonymous(before) == anonymous(after)


def _problem(entry: ServiceEntry, message: str) -> Problem:
    resource = f"serviceentry/{entry.metadata.name}"
    return Problem(entry.location, resource, "spec", message, _KEEP)
