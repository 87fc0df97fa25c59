"""Reads the values that Istio's kinds share: durations, numbers, conditions on text, the names of hosts."""

import re
from collections.abc import Mapping
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.hosts import hostname
from outgate.resources.names import dns_label
from outgate.resources.native.http_forms import REGEX
from outgate.resources.paths import child, item, quote, typed
from outgate.traffic.references import Target
from outgate.traffic.routing import Comparison, Text

VERSIONS = tuple(f"networking.istio.io/{each}" for each in ("v1", "v1beta1", "v1alpha3"))

# Go's time.ParseDuration, which Istio's API server uses.
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?(?:ns|us|µs|ms|s|m|h))+")
_PART = re.compile(r"([0-9.]+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
# The longest that Envoy takes for a timer, and more than anybody means.
_LONGEST = 10 * 365 * 24 * 3600.0
_SERVICE = re.compile(r"([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.cluster\.local)?")
_LONGEST_REGEX = 1024
_LONGEST_KEEPALIVE = 32767
_COMPARISONS = ("exact", "prefix", "regex")


def texts(check: Checker, parent: Mapping[str, Any], path: str, key: str) -> tuple[str, ...]:
    """Read a list of text."""
    value = parent.get(key)
    here = child(path, key)
    if not isinstance(value, list | None):
        check.error(here, f"must be a list, not {typed(value)}", 'begin each item with "- "')
        return ()
    for index, entry in enumerate(value or ()):
        if not isinstance(entry, str):
            check.error(item(here, index), f"must be a string, not {typed(entry)}")
    return tuple(entry for entry in value or () if isinstance(entry, str))


def whole(
    check: Checker, parent: Mapping[str, Any], path: str, key: str, limits: tuple[int, int]
) -> int | None:
    """Read a whole number within `limits`, both included."""
    return check.whole(parent, path, key, limits, f"write {limits[0]} to {limits[1]}")


def count(check: Checker, parent: Mapping[str, Any], path: str, key: str) -> int | None:
    """Read a whole number that is not negative."""
    return whole(check, parent, path, key, (0, 2**31 - 1))


def percentage(check: Checker, parent: Mapping[str, Any], path: str, key: str) -> float | None:
    """Read a number from 0 to 100."""
    value = parent.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        check.error(child(path, key), f"must be a number, not {typed(value)}")
        return None
    if not 0 <= value <= 100:
        check.error(child(path, key), f"{value} is out of range: write 0 to 100")
        return None
    return float(value)


def flag(check: Checker, parent: Mapping[str, Any], path: str, key: str) -> bool:
    """Read true or false, which is the default."""
    value = parent.get(key)
    if isinstance(value, bool | None):
        return bool(value)
    check.error(child(path, key), f"must be true or false, not {typed(value)}")
    return False


def duration(check: Checker, parent: Mapping[str, Any], path: str, key: str) -> float | None:
    """Read a duration in Go's form (`1.5s`, `1m30s`), in seconds."""
    text = check.string(parent, path, key)
    if text is None:
        return None
    if text == "0":
        return 0.0
    if len(text) > 40 or not _DURATION.fullmatch(text):
        message = f"{quote(text)} is not a duration: write a number and ms, s, m or h"
        check.error(child(path, key), message, "for example 3s")
        return None
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if seconds > _LONGEST:
        check.error(child(path, key), f"{quote(text)} is longer than 10 years")
        return None
    return round(seconds, 9)


def timed(check: Checker, parent: Mapping[str, Any], path: str, key: str) -> float | None:
    """Read a duration of a millisecond or more."""
    seconds = duration(check, parent, path, key)
    if seconds is not None and seconds < 0.001:
        check.error(child(path, key), "must be 1ms or longer")
        return None
    return seconds


def kept_alive(check: Checker, parent: Mapping[str, Any], path: str, key: str) -> float | None:
    """Read a duration that the kernel takes for TCP keep-alive (tcp(7)): whole seconds, of two bytes."""
    seconds = duration(check, parent, path, key)
    if seconds is not None and not 1 <= seconds <= _LONGEST_KEEPALIVE:
        check.error(child(path, key), f"must be 1s to {_LONGEST_KEEPALIVE}s")
        return None
    return seconds


def condition(
    check: Checker, parent: Mapping[str, Any], path: str, key: str, *, ignore_case: bool = False
) -> Text | None:
    """Read a StringMatch; one without anything is that there is such a thing at all."""
    value = check.mapping(parent, path, key)
    if value is None:
        # `headers: {x-a: null}` is presence too, as Istio reads it.
        return Text(Comparison.PRESENT) if key in parent and parent[key] is None else None
    here = child(path, key)
    given = [name for name in _COMPARISONS if value.get(name) is not None]
    if len(given) > 1:
        check.error(here, f"has {' and '.join(given)}: only one is allowed", "remove the others")
    if not given:
        return Text(Comparison.PRESENT)
    text = check.string(value, here, given[0]) or ""
    if given[0] == "regex":
        regex(check, child(here, "regex"), text)
        return Text(Comparison.REGEX, text)
    if given[0] == "prefix" and not text:
        # What everything begins with, Envoy does not take.
        return Text(Comparison.PRESENT)
    return Text(Comparison(given[0]), text, ignore_case)


def regex(check: Checker, path: str, text: str) -> None:
    """Check a regular expression as far as Python and RE2 agree; Envoy has the last word."""
    if not text or len(text) > _LONGEST_REGEX:
        check.error(path, f"must have 1 to {_LONGEST_REGEX} characters")
    else:
        check.flaw(path, REGEX.flaw(text))


def host(
    check: Checker, parent: Mapping[str, Any], path: str, key: str, namespace: str
) -> Target | None:
    """Read the host that a rule is for, or leads to; without a dot it is a Service of `namespace`."""
    text = check.string(parent, path, key)
    if not text:
        if parent.get(key) in (None, ""):
            check.error(child(path, key), "is required", "for example api.example.com")
        return None
    return named(check, child(path, key), text, namespace)


def named(check: Checker, path: str, text: str, namespace: str) -> Target | None:
    """Return what a host means to a resource of `namespace`; the namespace is empty for names of no Service."""
    name = text.removesuffix(".").lower()
    flaw = hostname(name.removeprefix("*."))
    if name == "*":
        message = "would be every host: name those that are meant"
        check.error(path, message, "for example *.example.com")
        return None
    if check.flaw(path, flaw):
        return None
    if "." not in name:
        return Target(namespace, name)
    if match := _SERVICE.fullmatch(name):
        return Target(match[2], match[1])
    return Target("", name)


def exported(check: Checker, parent: Mapping[str, Any], namespace: str) -> frozenset[str] | None:
    """Read `exportTo`: None for all namespaces, which is the default, else the names of some."""
    values = texts(check, parent, "spec", "exportTo")
    found: set[str] = set()
    for index, value in enumerate(values):
        if value == "*":
            return None
        if value == "~":
            continue
        if value != "." and check.flaw(item("spec.exportTo", index), dns_label(value)):
            continue
        found.add(namespace if value == "." else value)
    return frozenset(found) if values else None


def version(check: Checker, value: Mapping[str, Any], kind: str) -> None:
    """Check `apiVersion`."""
    if value.get("apiVersion") not in VERSIONS:
        message = f"{quote(value.get('apiVersion'))} is not allowed: a {kind} has {VERSIONS[0]}"
        check.error("apiVersion", message)
