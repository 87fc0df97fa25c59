"""What a rule, or one of its backends, changes in requests and answers: `filters`."""

import re
from dataclasses import dataclass, field

from outgate.resources.checks import Checker
from outgate.resources.gateway import reading, references
from outgate.resources.gateway.reading import Fields
from outgate.resources.gateway.routes import Mirrored
from outgate.resources.hosts import hostname
from outgate.resources.native.http_forms import HEADER_VALUE, SET_HEADER
from outgate.resources.paths import child, item, quote
from outgate.traffic.routing import Comparison, Edits, Match, Redirect, Rewrite

_EDITS = ("RequestHeaderModifier", "ResponseHeaderModifier")
_STATUSES = (301, 302, 303, 307, 308)
_MOST = 16
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
# By type, the field that holds what it says.
TYPES = {
    "RequestHeaderModifier": "requestHeaderModifier",
    "ResponseHeaderModifier": "responseHeaderModifier",
    "RequestMirror": "requestMirror",
    "RequestRedirect": "requestRedirect",
    "URLRewrite": "urlRewrite",
    "CORS": "cors",
    "ExternalAuth": "externalAuth",
    "ExtensionRef": "extensionRef",
}
GRPC_TYPES = ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef")
_INSTEAD = {
    "CORS": "let the service outside answer to browsers",
    "ExternalAuth": "say in an EgressPolicy who may call",
    "ExtensionRef": "an ExternalService, or an EgressPolicy, has what the Gateway API has not",
}


@dataclass(slots=True)
class Filters:
    """All of them together; `unsupported` are the types of those that cannot be done."""

    request: Edits = field(default_factory=Edits)
    response: Edits = field(default_factory=Edits)
    mirrors: tuple[Mirrored, ...] = ()
    redirect: Redirect | None = None
    rewrite: Rewrite | None = None
    unsupported: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Where:
    """Whose filters they are: `types` may stand there; `matches` are the rule's, `namespace` the route's."""

    namespace: str
    types: tuple[str, ...]
    matches: tuple[Match, ...] = ()
    of_backend: bool = False


def filters(check: Checker, parent: Fields, path: str, where: Where) -> Filters:
    """Read `filters` of a rule or a backend, which stands at `path`."""
    made = Filters()
    seen: set[str] = set()
    items = check.items(parent, path, "filters")
    for index, entry in items:
        at = item(child(path, "filters"), index)
        kind = check.choice(entry, at, "type", where.types)
        if entry.get("type") in (None, ""):
            check.error(child(at, "type"), "is required")
        if kind is None:
            continue
        check.unknown_fields(entry, at, ("type", TYPES[kind]))
        if kind in seen and kind not in ("RequestMirror", "ExtensionRef"):
            check.error(at, f"{kind} is there already: it may stand here once")
        seen.add(kind)
        _one(check, entry, at, where, made)
    if {"RequestRedirect", "URLRewrite"} <= seen:
        check.error(child(path, "filters"), "has both RequestRedirect and URLRewrite: use one")
    return made


def _one(check: Checker, entry: Fields, path: str, where: Where, made: Filters) -> None:
    kind = str(entry["type"])
    key = TYPES[kind]
    given, here = check.mapping(entry, path, key), child(path, key)
    if given is None:
        check.error(here, f"is required for type {kind}")
    elif kind in _INSTEAD or (where.of_backend and kind not in _EDITS):
        message = f"{kind} is not supported here: requests that fall under it are answered with 500"
        check.warning(here, message, _INSTEAD.get(kind, "let the rule itself have it"))
        made.unsupported = (*made.unsupported, kind)
    elif kind == "RequestHeaderModifier":
        made.request = _edits(check, given, here)
    elif kind == "ResponseHeaderModifier":
        made.response = _edits(check, given, here)
    elif kind == "RequestMirror":
        if (found := _mirror(check, given, here, where.namespace)) is not None:
            made.mirrors = (*made.mirrors, found)
    elif kind == "RequestRedirect":
        made.redirect = _redirect(check, given, here, where)
    else:
        made.rewrite = _rewrite(check, given, here, where)


def _edits(check: Checker, given: Fields, path: str) -> Edits:
    check.unknown_fields(given, path, ("set", "add", "remove"))
    put, add = (_headers(check, given, path, key) for key in ("set", "add"))
    removed = given.get("remove") or []
    if not isinstance(removed, list) or not all(isinstance(each, str) for each in removed):
        check.error(child(path, "remove"), "must be a list of names")
        removed = []
    for index, name in enumerate(removed):
        check.flaw(item(child(path, "remove"), index), SET_HEADER.flaw(name))
    return Edits(put, add, tuple(each.lower() for each in removed))


def _headers(check: Checker, given: Fields, path: str, key: str) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for index, entry in check.items(given, path, key):
        at = item(child(path, key), index)
        check.unknown_fields(entry, at, ("name", "value"))
        name = reading.token(check, entry, at)
        value = reading.required(check, entry, at, "value")
        if name and name.lower() != "host":
            # A length that is not the body's would have what follows taken for somebody else's request.
            check.flaw(child(at, "name"), SET_HEADER.flaw(name))
        if value:
            check.flaw(child(at, "value"), HEADER_VALUE.flaw(value))
        if name and value:
            found.setdefault(name.lower(), value)
    return tuple(found.items())


def _mirror(check: Checker, given: Fields, path: str, namespace: str) -> Mirrored | None:
    check.unknown_fields(given, path, ("backendRef", "percent", "fraction"))
    entry = check.mapping(given, path, "backendRef")
    if entry is None:
        check.error(child(path, "backendRef"), "is required")
        return None
    percent = reading.number(check, given, path, "percent", (0, 100))
    fraction = check.mapping(given, path, "fraction")
    share = 100.0 if percent is None else float(percent)
    if fraction is not None:
        if percent is not None:
            check.error(path, "has both percent and fraction: use one")
        share = _fraction(check, fraction, child(path, "fraction"))
    found = references.mirrored(check, entry, child(path, "backendRef"), namespace)
    return None if found is None else Mirrored(found, share)


def _fraction(check: Checker, given: Fields, path: str) -> float:
    check.unknown_fields(given, path, ("numerator", "denominator"))
    most = 2**31 - 1
    part = reading.number(check, given, path, "numerator", (0, most)) or 0
    whole = reading.number(check, given, path, "denominator", (1, most)) or 100
    if part > whole:
        check.error(path, "the numerator must not be greater than the denominator")
    return 100.0 * part / whole


def _redirect(check: Checker, given: Fields, path: str, where: Where) -> Redirect:
    known = ("scheme", "hostname", "path", "port", "statusCode")
    check.unknown_fields(given, path, known)
    status = reading.number(check, given, path, "statusCode", (_STATUSES[0], _STATUSES[-1]))
    if status is not None and status not in _STATUSES:
        allowed = ", ".join(str(each) for each in _STATUSES)
        check.error(child(path, "statusCode"), f"{status} is not allowed: write one of {allowed}")
    whole, prefix = _modifier(check, given, path, where)
    return Redirect(
        scheme=check.choice(given, path, "scheme", ("http", "https")) or "",
        host=_host(check, given, path),
        port=reading.port(check, given, path) or 0,
        path=whole or "",
        prefix=prefix,
        status=status or 302,
    )


def _rewrite(check: Checker, given: Fields, path: str, where: Where) -> Rewrite:
    check.unknown_fields(given, path, ("hostname", "path"))
    whole, prefix = _modifier(check, given, path, where)
    host = _host(check, given, path)
    if whole is not None:
        return Rewrite(path=whole or "/", whole=True, host=host)
    return Rewrite(path=prefix, host=host)


def _host(check: Checker, given: Fields, path: str) -> str:
    text = check.string(given, path, "hostname")
    if text:
        check.flaw(child(path, "hostname"), hostname(text))
    return text or ""


def _modifier(
    check: Checker, given: Fields, path: str, where: Where
) -> tuple[str | None, str | None]:
    """Return what replaces the whole path, and what replaces the prefix that was matched."""
    modifier = check.mapping(given, path, "path")
    if modifier is None:
        return None, None
    here = child(path, "path")
    check.unknown_fields(modifier, here, ("type", "replaceFullPath", "replacePrefixMatch"))
    kind = check.choice(modifier, here, "type", ("ReplaceFullPath", "ReplacePrefixMatch"))
    if kind is None:
        check.error(child(here, "type"), "is required")
        return None, None
    key = kind[0].lower() + kind[1:]
    text = check.string(modifier, here, key)
    if text is None:
        check.error(child(here, key), f"is required for type {kind}")
        return None, None
    if _CONTROL.search(text):
        check.error(child(here, key), f"{quote(text)} has a control character, as no path has")
    if kind == "ReplaceFullPath":
        return text, None
    prefixes = [
        each.path is None or each.path.comparison is Comparison.PATH_PREFIX
        for each in where.matches
    ]
    if len(prefixes) > 1 or not all(prefixes):
        message = "needs a rule with exactly one match, whose path is a PathPrefix"
        check.error(child(here, key), message)
    return None, text
