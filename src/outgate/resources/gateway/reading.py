"""Reads what all kinds of the Gateway API share: the head of an object, numbers, durations, headers' names."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from outgate.resources import expressions
from outgate.resources.checks import Checker
from outgate.resources.documents import Document
from outgate.resources.metadata import ObjectMeta, parse_metadata
from outgate.resources.names import dns_subdomain
from outgate.resources.paths import child, quote
from outgate.resources.ports import MAX_PORT

GROUP = "gateway.networking.k8s.io"
X_GROUP = "gateway.networking.x-k8s.io"

Fields = Mapping[str, Any]

_TOP_FIELDS = frozenset(("apiVersion", "kind", "metadata", "spec", "status"))
# GEP-2257: a strict subset of Go's durations.
_DURATION = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}")
_PART = re.compile(r"([0-9]+)(ms|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,256}")
# RE2, which Envoy matches with, has neither look-around nor references back.
_NOT_RE2 = re.compile(r"(?<!\\)\(\?(?:[=!>#]|<[=!]|P=|\()|(?<!\\)(?:\\\\)*\\[1-9]")


def head(
    check: Checker, document: Document, namespace: str, versions: Collection[str]
) -> tuple[ObjectMeta, Fields | None]:
    """Return metadata and the fields of `spec`; None where there is none, which is then noted."""
    check.unknown_fields(document.value, "", _TOP_FIELDS)
    kind = document.value.get("kind")
    if (version := document.value.get("apiVersion")) not in versions:
        message = f"{quote(version)} is not allowed: {kind} has {' or '.join(versions)}"
        check.error("apiVersion", message)
    metadata = parse_metadata(check, document, namespace, dns_subdomain)
    spec = check.mapping(document.value, "", "spec")
    if document.value.get("spec") is None:
        check.error("spec", "is required")
    return metadata, spec


def required(check: Checker, parent: Fields, path: str, key: str, hint: str = "") -> str | None:
    """Return text that must be there."""
    value = check.string(parent, path, key)
    if parent.get(key) in (None, ""):
        check.error(child(path, key), "is required", hint)
        return None
    return value


def number(
    check: Checker, parent: Fields, path: str, key: str, bounds: tuple[int, int]
) -> int | None:
    """Return a whole number within `bounds`, None if absent or invalid."""
    return check.whole(parent, path, key, bounds, f"{bounds[0]} to {bounds[1]} are allowed")


def port(check: Checker, parent: Fields, path: str, key: str = "port") -> int | None:
    """Return a port's number, None if absent or invalid."""
    return number(check, parent, path, key, (1, MAX_PORT))


def duration(check: Checker, parent: Fields, path: str, key: str) -> float | None:
    """Return seconds, None if absent or invalid."""
    text = check.string(parent, path, key)
    if text is None:
        return None
    if not _DURATION.fullmatch(text):
        message = f"{quote(text)} is not a duration: up to four whole numbers with h, m, s or ms"
        check.error(child(path, key), message, "for example 1m30s, or 500ms")
        return None
    return sum(int(count) * _SECONDS[unit] for count, unit in _PART.findall(text))


def token(check: Checker, parent: Fields, path: str, key: str = "name") -> str | None:
    """Return the name of a header or of a query parameter, which must be there."""
    text = required(check, parent, path, key)
    if text is not None and not _TOKEN.fullmatch(text):
        message = f"{quote(text)} is not a name: letters, digits and !#$%&'*+-.^_`|~ are allowed, at most 256"
        check.error(child(path, key), message)
        return None
    return text


def expression(check: Checker, path: str, text: str) -> None:
    """Note what is wrong with a regular expression."""
    if _NOT_RE2.search(text):
        message = f"{quote(text)} has look-around or a reference back, which RE2 has not"
        check.error(path, message, "write it without")
    elif words := expressions.trouble(text):
        check.error(path, f"{quote(text)} is not a regular expression: {words}")


def unsupported(check: Checker, parent: Fields, path: str, keys: Mapping[str, str]) -> None:
    """Warn of fields that are known and that Outgate does not act upon; each with what to do instead."""
    for key, hint in keys.items():
        if parent.get(key) not in (None, [], {}, ""):
            message = "is not supported, it has no effect"
            check.warning(child(path, key), message, hint)
