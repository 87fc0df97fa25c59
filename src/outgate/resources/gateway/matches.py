"""What requests a rule is for: `matches` of HTTPRoutes and GRPCRoutes."""

import re

from outgate.resources.checks import Checker
from outgate.resources.gateway import reading
from outgate.resources.gateway.reading import Fields
from outgate.resources.gateway.routes import each
from outgate.resources.paths import child, quote
from outgate.traffic.routing import Comparison, Field, Match, Text

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_PATHS = {
    "Exact": Comparison.EXACT,
    "PathPrefix": Comparison.PATH_PREFIX,
    "RegularExpression": Comparison.REGEX,
}
_TEXTS = {"Exact": Comparison.EXACT, "RegularExpression": Comparison.REGEX}
HTTP_FIELDS = ("path", "headers", "queryParams", "method")
GRPC_FIELDS = ("method", "headers")
_FIELDS = ("type", "name", "value")
_LONGEST_PATH = 1024
_PATH = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+")
_AMBIGUOUS = ("//", "/./", "/../", "%2f", "%2F", "#")
_SERVICE = re.compile(r"\.?[a-zA-Z_][a-zA-Z_0-9]*(\.[a-zA-Z_][a-zA-Z_0-9]*)*")
_METHOD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
ANY_SEGMENT = "[^/]+"
"""Stands for the service, or the method, that a match does not name."""


def http(check: Checker, entry: Fields, path: str) -> Match:
    """Read one of `matches` of an HTTPRoute; one that says nothing is every path."""
    check.unknown_fields(entry, path, HTTP_FIELDS)
    method = check.choice(entry, path, "method", METHODS)
    return Match(
        path=_path(check, entry, path),
        methods=(method,) if method else (),
        headers=_fields(check, entry, path, "headers"),
        query=_fields(check, entry, path, "queryParams"),
    )


def grpc(check: Checker, entry: Fields, path: str) -> Match:
    """Read one of `matches` of a GRPCRoute: its method is a path of HTTP, `/SERVICE/METHOD`."""
    check.unknown_fields(entry, path, GRPC_FIELDS)
    return Match(path=_called(check, entry, path), headers=_fields(check, entry, path, "headers"))


def _path(check: Checker, entry: Fields, path: str) -> Text | None:
    given = check.mapping(entry, path, "path")
    if given is None:
        return None
    here = child(path, "path")
    check.unknown_fields(given, here, ("type", "value"))
    kind = check.choice(given, here, "type", tuple(_PATHS)) or "PathPrefix"
    value = check.string(given, here, "value") or "/"
    at = child(here, "value")
    if len(value) > _LONGEST_PATH:
        check.error(at, f"is {len(value)} characters long, at most {_LONGEST_PATH} are allowed")
    elif kind == "RegularExpression":
        reading.expression(check, at, value)
    elif not value.startswith("/"):
        check.error(at, f'{quote(value)} must start with "/"')
    elif found := next((part for part in _AMBIGUOUS if part in value), None):
        check.error(at, f'must not contain "{found}"')
    elif value.endswith(("/.", "/..")):
        check.error(at, 'must not end with "/." or "/.."')
    elif not _PATH.fullmatch(value):
        check.error(at, f"{quote(value)} has characters that must be written as %XX in a path")
    return Text(_PATHS[kind], value)


def _fields(check: Checker, entry: Fields, path: str, key: str) -> tuple[Field, ...]:
    """Read conditions on headers or parameters; of two with one name the first counts, as specified."""
    seen: dict[str, int] = {}

    def one(given: Fields, at: str) -> Field | None:
        check.unknown_fields(given, at, _FIELDS)
        name = reading.token(check, given, at)
        kind = check.choice(given, at, "type", tuple(_TEXTS)) or "Exact"
        value = reading.required(check, given, at, "value")
        if name is None or value is None:
            return None
        if kind == "RegularExpression":
            reading.expression(check, child(at, "value"), value)
        index = len(seen)
        folded = name.lower() if key == "headers" else name
        if seen.setdefault(folded, index) != index:
            check.warning(at, f"{quote(name)} is there already: only the first one counts")
            return None
        return Field(folded, Text(_TEXTS[kind], value))

    return each(check, entry, path, key, one)


def _called(check: Checker, entry: Fields, path: str) -> Text | None:
    given = check.mapping(entry, path, "method")
    if given is None:
        return None
    here = child(path, "method")
    check.unknown_fields(given, here, ("type", "service", "method"))
    kind = check.choice(given, here, "type", tuple(_TEXTS)) or "Exact"
    service, method = (check.string(given, here, key) or "" for key in ("service", "method"))
    if not service and not method:
        check.error(here, "needs a service, a method, or both")
        return None
    form = None if kind == "RegularExpression" else (_SERVICE, _METHOD)
    for index, (key, text) in enumerate((("service", service), ("method", method))):
        if form is None:
            reading.expression(check, child(here, key), text)
        elif text and not form[index].fullmatch(text):
            check.error(child(here, key), f"{quote(text)} is not the name of a gRPC {key}")
    return _text(service, method, exact=form is not None)


def _text(service: str, method: str, *, exact: bool) -> Text:
    if exact and service:
        kind = Comparison.EXACT if method else Comparison.PATH_PREFIX
        return Text(kind, f"/{service}/{method}" if method else f"/{service}")
    return Text(Comparison.REGEX, f"/(?:{service or ANY_SEGMENT})/(?:{method or ANY_SEGMENT})")
