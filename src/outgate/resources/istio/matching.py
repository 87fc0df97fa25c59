"""The conditions of a VirtualService's HTTP routes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.istio.reading import condition, flag, texts, whole
from outgate.resources.names import dns_label
from outgate.resources.native.http_forms import HEADER
from outgate.resources.paths import child, item
from outgate.resources.ports import MAX_PORT
from outgate.traffic.routing import Comparison, Field, Match, Text

MESH = "mesh"
_PSEUDO = ("uri", "scheme", "method", "authority")
_LONGEST_NAME = 1024
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a VirtualService is, and for whose calls it holds: `visible` namespaces, None for all."""

    namespace: str
    visible: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Where:
    """What a rule has once for all of its matches; `whole`: a rewrite replaces all of the path, not a prefix."""

    ports: tuple[int, ...] = ()
    callers: frozenset[str] | None = None
    whole: bool = False


def reaches_mesh(check: Checker, parent: Mapping[str, Any], path: str) -> bool:
    """Whether what `gateways` says has to do with calls of the mesh itself."""
    names = texts(check, parent, path, "gateways")
    if not names or MESH in names:
        return True
    message = "calls through gateways are not what Outgate is there for: left out"
    check.warning(child(path, "gateways"), message, "add mesh, if it is for calls of workloads too")
    return False


def callers_of(
    check: Checker, match: Mapping[str, Any], path: str, scope: Scope
) -> frozenset[str] | None:
    """Return the namespaces for whose calls a match holds, None for all."""
    namespace = check.string(match, path, "sourceNamespace")
    if not namespace:
        return scope.visible
    here = child(path, "sourceNamespace")
    check.flaw(here, dns_label(namespace))
    if scope.visible is not None and namespace not in scope.visible:
        message = "is not one of spec.exportTo, so that this never holds"
        check.warning(here, message)
        return frozenset()
    return frozenset((namespace,))


def ports_of(check: Checker, match: Mapping[str, Any], path: str) -> tuple[int, ...]:
    """Return the port that a match is for, none for all."""
    number = whole(check, match, path, "port", (1, MAX_PORT))
    return () if number is None else (number,)


def matches(
    check: Checker, route: Mapping[str, Any], path: str, scope: Scope
) -> dict[Where, tuple[Match, ...]]:
    """Read `match` of an HTTP route; one without any holds for all. What never holds is left out."""
    items = check.items(route, path, "match")
    if not items:
        return {Where(callers=scope.visible): (Match(),)}
    found: dict[Where, tuple[Match, ...]] = {}
    for index, entry in items:
        here = item(child(path, "match"), index)
        if not reaches_mesh(check, entry, here):
            continue
        callers = callers_of(check, entry, here, scope)
        match = _match(check, entry, here)
        if callers is not None and not callers:
            continue
        comparison = match.path.comparison if match.path else None
        wholly = comparison in (Comparison.EXACT, Comparison.REGEX)
        where = Where(ports_of(check, entry, here), callers, wholly)
        found[where] = (*found.get(where, ()), match)
    return found


def _match(check: Checker, entry: Mapping[str, Any], path: str) -> Match:
    check.string(entry, path, "name")
    ignore_case = flag(check, entry, path, "ignoreUriCase")
    uri = condition(check, entry, path, "uri", ignore_case=ignore_case)
    method = condition(check, entry, path, "method")
    headers = list(_fields(check, entry, path, "headers"))
    headers += [
        Field(each.name, each.text, inverted=True)
        for each in _fields(check, entry, path, "withoutHeaders")
    ]
    methods: tuple[str, ...] = ()
    if method is not None and method.comparison is Comparison.EXACT:
        methods = (method.value,)
        if method.value.upper() in _METHODS and method.value not in _METHODS:
            message = f"never holds: methods are in upper case ({method.value.upper()})"
            check.warning(child(path, "method"), message)
    elif method is not None:
        headers.append(Field(":method", method))
    authority = condition(check, entry, path, "authority")
    if authority is not None:
        headers.append(Field(":authority", authority))
    _check_scheme(check, entry, path)
    return Match(
        path=None if uri is None or uri.comparison is Comparison.PRESENT else uri,
        methods=methods,
        headers=tuple(headers),
        query=tuple(_fields(check, entry, path, "queryParams")),
    )


def _fields(check: Checker, entry: Mapping[str, Any], path: str, key: str) -> tuple[Field, ...]:
    conditions = check.mapping(entry, path, key) or {}
    here = child(path, key)
    found: list[Field] = []
    for name in conditions:
        if key != "queryParams" and name in _PSEUDO:
            message = "is no header: it has no effect here"
            check.warning(child(here, name), message, f"write it in match.{name}")
            continue
        text = condition(check, conditions, here, name)
        if key != "queryParams" and check.flaw(child(here, name), HEADER.flaw(name)):
            continue
        if not 0 < len(name.encode()) <= _LONGEST_NAME:
            check.error(child(here, name), f"has not 1 to {_LONGEST_NAME} bytes")
            continue
        if text is not None:
            found.append(Field(name.lower() if key != "queryParams" else name, text))
    return tuple(found)


def _check_scheme(check: Checker, entry: Mapping[str, Any], path: str) -> None:
    scheme = condition(check, entry, path, "scheme")
    if scheme is not None and scheme != Text(Comparison.EXACT, "http"):
        message = "applications call with http here: this would never hold"
        check.error(child(path, "scheme"), message, "remove it, or write {exact: http}")
