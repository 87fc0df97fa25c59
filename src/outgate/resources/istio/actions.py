"""What a VirtualService's HTTP route does with a request: where it goes, or what is answered."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.hosts import hostname
from outgate.resources.istio.editing import edits, host_in
from outgate.resources.istio.reading import duration, host, percentage, regex, whole
from outgate.resources.istio.resilience import DEFAULT_RETRIES, parse_fault, parse_retries
from outgate.resources.native.http_forms import HEADER_VALUE, PATH, wrong_group
from outgate.resources.paths import child, item, quote
from outgate.resources.ports import MAX_PORT
from outgate.traffic.references import Target
from outgate.traffic.routing import (
    Answer,
    Backend,
    Mirror,
    Redirect,
    Rewrite,
    Rule,
    Timeouts,
)

_PREFIX = "%PREFIX()%"
# What Envoy takes.
_LONGEST_BODY = 4096
_MOST_WEIGHT = 1_000_000
_CODES = (301, 302, 303, 307, 308)
_NO_EDITS: Mapping[str, Any] = {}


def parse_action(check: Checker, route: Mapping[str, Any], path: str, namespace: str) -> Rule:
    """Read all of an HTTP route but its conditions."""
    check.string(route, path, "name")
    redirect = _redirect(check, route, path)
    answer = _answer(check, route, path)
    backends = parse_backends(check, route, path, namespace)
    given = [key for key in ("route", "redirect", "directResponse") if route.get(key)]
    if len(given) > 1:
        check.error(path, f"has {' and '.join(given)}: only one is allowed", "remove the others")
    elif not given and not route.get("delegate"):
        check.error(child(path, "route"), "is required", "or redirect, or directResponse")
    headers = check.mapping(route, path, "headers") or _NO_EDITS
    request = edits(check, headers, child(path, "headers"), "request")
    rewrite = _with_host(check, _rewrite(check, route, path), headers, child(path, "headers"))
    own = not redirect and not answer
    return Rule(
        backends=backends,
        redirect=redirect,
        answer=answer,
        rewrite=rewrite,
        request=request,
        response=edits(check, headers, child(path, "headers"), "response"),
        timeouts=Timeouts(request=duration(check, route, path, "timeout")),
        retries=parse_retries(check, route, path) or (DEFAULT_RETRIES if own else None),
        fault=parse_fault(check, route, path),
        mirrors=tuple(_mirrors(check, route, path, namespace)),
    )


def parse_backends(
    check: Checker, route: Mapping[str, Any], path: str, namespace: str
) -> tuple[Backend, ...]:
    """Read the destinations of a route; those without a share are left out."""
    items = check.items(route, path, "route")
    found: list[Backend] = []
    shares = [entry.get("weight") for _, entry in items]
    for index, entry in items:
        here = item(child(path, "route"), index)
        target = destination(check, entry, here, "destination", namespace)
        weight = whole(check, entry, here, "weight", (0, _MOST_WEIGHT))
        headers = check.mapping(entry, here, "headers") or _NO_EDITS
        if host_in(headers):
            message = "the host is rewritten for a whole route only"
            check.error(child(here, "headers"), message, "write rewrite.authority")
        request = edits(check, headers, child(here, "headers"), "request")
        response = edits(check, headers, child(here, "headers"), "response")
        if target is None or (len(items) > 1 and not weight):
            continue
        share = weight if weight and len(items) > 1 else 1
        found.append(Backend(target, share, request=request, response=response))
    if len(items) > 1 and not any(shares):
        message = "no destination has a weight, so that none would be called"
        check.error(child(path, "route"), message, "give each its share, for example weight: 50")
    return tuple(found)


def destination(
    check: Checker, parent: Mapping[str, Any], path: str, key: str, namespace: str
) -> Target | None:
    """Read a Destination: a host, and perhaps the one of its ports that is called."""
    value = check.mapping(parent, path, key)
    here = child(path, key)
    if value is None:
        if parent.get(key) is None:
            check.error(here, "is required", "for example {host: api.example.com}")
        return None
    target = host(check, value, here, "host", namespace)
    port = check.mapping(value, here, "port") or {}
    number = whole(check, port, child(here, "port"), "number", (1, MAX_PORT))
    return target and replace(target, port=number or 0)


def _mirrors(
    check: Checker, route: Mapping[str, Any], path: str, namespace: str
) -> Iterator[Mirror]:
    share = _share(check, route, path, "mirrorPercentage")
    for key in ("mirrorPercent", "mirror_percent"):
        older = percentage(check, route, path, key)
        share = older if share is None else share
    if route.get("mirror") is None:
        if share is not None:
            check.warning(child(path, "mirror"), "is not there: nothing is mirrored")
    else:
        target = destination(check, route, path, "mirror", namespace)
        if target is not None and share != 0:
            yield Mirror(target, 100.0 if share is None else share)
    for index, entry in check.items(route, path, "mirrors"):
        here = item(child(path, "mirrors"), index)
        target = destination(check, entry, here, "destination", namespace)
        share = _share(check, entry, here, "percentage")
        if target is not None and share != 0:
            yield Mirror(target, 100.0 if share is None else share)


def _share(check: Checker, parent: Mapping[str, Any], path: str, key: str) -> float | None:
    value = check.mapping(parent, path, key)
    if value is None:
        return None
    return percentage(check, value, child(path, key), "value") or 0.0


def _rewrite(check: Checker, route: Mapping[str, Any], path: str) -> Rewrite | None:
    value = check.mapping(route, path, "rewrite")
    if value is None:
        return None
    here = child(path, "rewrite")
    uri = check.string(value, here, "uri") or None
    if uri:
        check.flaw(child(here, "uri"), PATH.flaw(uri))
    authority = check.string(value, here, "authority") or ""
    if authority:
        _check_authority(check, child(here, "authority"), authority)
    by_regex = check.mapping(value, here, "uriRegexRewrite") or {}
    in_regex = child(here, "uriRegexRewrite")
    pattern = check.string(by_regex, in_regex, "match") or ""
    if pattern:
        regex(check, child(in_regex, "match"), pattern)
    if uri and pattern:
        check.error(here, "both uri and uriRegexRewrite are there", "remove one of the two")
    substitution = check.string(by_regex, in_regex, "rewrite") or ""
    _check_substitution(check, child(in_regex, "rewrite"), pattern, substitution)
    if uri is None and not pattern and not authority:
        return None
    return Rewrite(path=uri, regex=pattern, substitution=substitution, host=authority)


def _check_substitution(check: Checker, path: str, pattern: str, text: str) -> None:
    """Check that a substitution refers to groups that there are, as else Envoy takes no route of the host."""
    found, groups = wrong_group(pattern, text)
    if found:
        message = f"{quote(found)} is no group of the pattern, which has {groups}"
        check.error(path, message, "write \\1 to \\9, or \\\\ for a backslash")


def _with_host(
    check: Checker, rewrite: Rewrite | None, headers: Mapping[str, Any], path: str
) -> Rewrite | None:
    """Return a rewrite that has the Host that the headers set, which Istio takes for one too."""
    found = host_in(headers)
    if not found:
        return rewrite
    _check_authority(check, child(path, "request"), found)
    if rewrite is not None and rewrite.host:
        return rewrite
    return replace(rewrite or Rewrite(), host=found)


def _check_authority(check: Checker, path: str, text: str) -> None:
    name, _, port = text.partition(":")
    if "/" in text:
        name, port = text, ""
    if port and not (port.isdecimal() and 0 < int(port) <= MAX_PORT):
        check.error(path, f"{quote(port)} is not a port")
    check.flaw(path, hostname(name.lower()))


def _redirect(check: Checker, route: Mapping[str, Any], path: str) -> Redirect | None:
    value = check.mapping(route, path, "redirect")
    if value is None:
        return None
    here = child(path, "redirect")
    uri = check.string(value, here, "uri") or ""
    prefix = check.string(value, here, "prefixRewrite") or None
    if uri.startswith(_PREFIX):
        uri, prefix = "", uri.removeprefix(_PREFIX)
    for key, text in (("uri", uri), ("prefixRewrite", prefix)):
        if text:
            before, _, query = text.partition("?")
            check.flaw(child(here, key), PATH.flaw(before) or HEADER_VALUE.flaw(query))
    code = whole(check, value, here, "redirectCode", (0, 599)) or 301
    if code not in _CODES:
        message = f"{code} is no redirection: write {', '.join(map(str, _CODES))}"
        check.error(child(here, "redirectCode"), message)
    scheme = check.choice(value, here, "scheme", ("http", "https")) or ""
    port = whole(check, value, here, "port", (0, MAX_PORT)) or 0
    authority = check.string(value, here, "authority") or ""
    if authority:
        _check_authority(check, child(here, "authority"), authority)
        authority, _, written = authority.partition(":")
        port = port or (int(written) if written.isdecimal() else 0)
    return Redirect(scheme, authority, port, uri, prefix, code)


def _answer(check: Checker, route: Mapping[str, Any], path: str) -> Answer | None:
    value = check.mapping(route, path, "directResponse")
    if value is None:
        return None
    here = child(path, "directResponse")
    status = whole(check, value, here, "status", (200, 599))
    if value.get("status") is None:
        check.error(child(here, "status"), "is required", "for example 503")
    body = check.mapping(value, here, "body") or {}
    text = check.string(body, child(here, "body"), "string") or ""
    encoded = check.string(body, child(here, "body"), "bytes")
    if encoded:
        try:
            text = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            message = "is not text in UTF-8, in base64"
            check.error(child(child(here, "body"), "bytes"), message, "write body.string")
    if len(text.encode()) > _LONGEST_BODY:
        check.error(child(here, "body"), f"has more than {_LONGEST_BODY} bytes")
    return Answer(status or 200, text)
