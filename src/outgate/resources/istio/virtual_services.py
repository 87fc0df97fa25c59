"""Istio's `VirtualService`: what becomes of calls to a host."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.documents import Document
from outgate.resources.istio.actions import parse_action
from outgate.resources.istio.connections import check_connections
from outgate.resources.istio.fields import check_fields
from outgate.resources.istio.matching import Scope, Where, matches, reaches_mesh
from outgate.resources.istio.reading import exported, named, texts, version
from outgate.resources.istio.tables import VIRTUAL_SERVICE
from outgate.resources.metadata import ObjectMeta, parse_metadata
from outgate.resources.names import dns_subdomain
from outgate.resources.paths import item
from outgate.resources.problems import Location, Problem
from outgate.traffic.references import Target
from outgate.traffic.routing import Answer, Comparison, Match, Rule, Text

_TOP_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
_EVERY_PATH = Text(Comparison.PREFIX, "/")


@dataclass(frozen=True, slots=True)
class VirtualService:
    """A valid VirtualService.

    `hosts` are what it is for (no namespace: a name of no Service), each with the index where it is written. `rules`
    are for HTTP, in order, with backends always; the last one answers 404 where none holds for all calls.
    """

    metadata: ObjectMeta
    hosts: tuple[tuple[int, Target], ...]
    rules: tuple[Rule, ...]
    location: Location


_MOST_ROUTES = 4096
"""Of one resource: each costs the controller and every egress Envoy time and memory, for each port of a host."""


def parse_virtual_service(
    document: Document, default_namespace: str
) -> tuple[VirtualService | None, tuple[Problem, ...]]:
    """Read the VirtualService in `document`, None if anything in it is an error, and all its problems."""
    check = Checker(document)
    check.unknown_fields(document.value, "", _TOP_FIELDS)
    version(check, document.value, "VirtualService")
    metadata = parse_metadata(check, document, default_namespace, dns_subdomain)
    spec = check.mapping(document.value, "", "spec")
    if spec is None:
        if document.value.get("spec") is None:
            check.error("spec", "is required: it has the hosts and their routes")
        return None, check.problems
    check_fields(check, spec, "spec", VIRTUAL_SERVICE)
    hosts = tuple(_hosts(check, spec, metadata.namespace))
    scope = Scope(metadata.namespace, exported(check, spec, metadata.namespace))
    rules = _rules(check, spec, scope, f"virtualservice/{metadata.name}")
    check_connections(check, spec, scope, [each for _, each in hosts])
    routes = len(hosts) * sum(max(1, len(each.matches)) for each in rules)
    if routes > _MOST_ROUTES:
        message = f"hosts times matches are {routes}, at most {_MOST_ROUTES} are allowed"
        check.error("spec.http", message, "divide it into several resources")
    if not any(spec.get(key) for key in ("http", "tls", "tcp")):
        check.error("spec.http", "is required: at least one of http, tls and tcp")
    if not reaches_mesh(check, spec, "spec"):
        rules = ()
    if check.failed:
        return None, check.problems
    service = VirtualService(metadata, hosts, rules, document.location)
    return service, check.problems


def _hosts(check: Checker, spec: Mapping[str, Any], namespace: str) -> Iterator[tuple[int, Target]]:
    if not spec.get("hosts"):
        check.error("spec.hosts", "is required", "the hosts that applications call")
    for index, text in enumerate(texts(check, spec, "spec", "hosts")):
        target = named(check, item("spec.hosts", index), text, namespace)
        if target is not None:
            yield index, target


def _rules(check: Checker, spec: Mapping[str, Any], scope: Scope, source: str) -> tuple[Rule, ...]:
    found: list[Rule] = []
    items = check.items(spec, "spec", "http")
    closed = False
    for index, entry in items:
        path = item("spec.http", index)
        rule = replace(parse_action(check, entry, path, scope.namespace), source=source)
        places = matches(check, entry, path, scope)
        found += [_placed(rule, place, each) for place, each in places.items()]
        closed = closed or any(
            place == Where(callers=scope.visible, whole=place.whole) and any(map(_holds, each))
            for place, each in places.items()
        )
    if items and not closed:
        # As Istio: where there are routes, and none holds, there is nothing.
        found.append(Rule(callers=scope.visible, answer=Answer(404), source=source))
    return tuple(found)


def _placed(rule: Rule, where: Where, found: tuple[Match, ...]) -> Rule:
    rewrite = rule.rewrite
    if rewrite is not None and rewrite.path is not None:
        rewrite = replace(rewrite, whole=where.whole)
    kept = () if found == (Match(),) else found
    return replace(rule, matches=kept, ports=where.ports, callers=where.callers, rewrite=rewrite)


def _holds(match: Match) -> bool:
    """Whether a match holds for all requests."""
    return replace(match, path=None) == Match() and match.path in (None, _EVERY_PATH)
