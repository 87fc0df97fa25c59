"""The changes of headers in a VirtualService."""

from collections.abc import Mapping
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.istio.reading import texts
from outgate.resources.native.http_forms import SET_HEADER
from outgate.resources.paths import child, item, quote
from outgate.traffic.routing import Edits

_LONGEST_VALUE = 16384
"""What Envoy takes."""
_HOSTS = ("host", ":authority")


def edits(check: Checker, headers: Mapping[str, Any], path: str, key: str) -> Edits:
    """Read the changes of a request's or a response's headers; a Host that is set is not among them."""
    value = check.mapping(headers, path, key) or {}
    here = child(path, key)
    return Edits(
        put=_entries(check, value, here, "set"),
        add=_entries(check, value, here, "add"),
        remove=tuple(
            name.lower()
            for index, name in enumerate(texts(check, value, here, "remove"))
            if _usable(check, item(child(here, "remove"), index), name)
        ),
    )


def host_in(headers: Mapping[str, Any]) -> str:
    """Return the Host that the headers of a request set, if they do."""
    request = headers.get("request")
    fields = request.get("set") if isinstance(request, dict) else None
    if not isinstance(fields, dict):
        return ""
    found = (value for name, value in fields.items() if name.lower() in _HOSTS)
    return next((value for value in found if isinstance(value, str)), "")


def _entries(
    check: Checker, value: Mapping[str, Any], path: str, key: str
) -> tuple[tuple[str, str], ...]:
    here = child(path, key)
    found: list[tuple[str, str]] = []
    for name, text in check.strings(value, path, key).items():
        if key == "set" and name.lower() in _HOSTS:
            continue
        if not _usable(check, child(here, name), name):
            continue
        if "\r" in text or "\n" in text or "\0" in text:
            check.error(child(here, name), "has a line break, which no header has")
            continue
        if len(text.replace("%", "%%").encode()) > _LONGEST_VALUE:
            check.error(child(here, name), f"has more than {_LONGEST_VALUE} bytes")
            continue
        if "%" in text:
            message = "is sent as it is written: Envoy's variables are not filled in"
            check.warning(child(here, name), message)
        found.append((name.lower(), text))
    return tuple(found)


def _usable(check: Checker, path: str, name: str) -> bool:
    if name.lower() in _HOSTS:
        check.error(path, f"{quote(name)} is not changed so", "write rewrite.authority")
        return False
    return not check.flaw(path, SET_HEADER.flaw(name))
