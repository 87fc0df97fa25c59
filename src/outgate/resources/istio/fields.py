"""Tables of fields: which of a kind's are read, and what is said of the others, so that none is ignored in silence."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Union

from outgate.resources.checks import Checker
from outgate.resources.names import Flaw
from outgate.resources.paths import child, item
from outgate.resources.problems import Severity

ANY = "*"
"""Stands in a table for every key of a mapping whose keys the user chooses."""


@dataclass(frozen=True, slots=True)
class Said:
    """What is said where a field is set that is not read; `refused` if the resource cannot be used with it."""

    message: str
    hint: str = ""
    refused: bool = False


Fields = Mapping[str, Union["Fields", Said, str]]
"""What becomes of each field: a table of those below it, what is said of it, or a note for who reads about it."""


def refused(message: str, hint: str = "") -> Said:
    """Return what is said of a field without which the rest would do something else, or more."""
    return Said(message, hint, refused=True)


def check_fields(check: Checker, value: Mapping[str, Any], path: str, fields: Fields) -> None:
    """Note all fields of `value`, which stands at `path`, that are unknown or not read, at any depth."""
    if ANY not in fields:
        check.unknown_fields(value, path, fields)
    for key, content in value.items():
        state = fields.get(key, fields.get(ANY))
        # What has its default says nothing.
        if content in (None, False, "", 0, []) or state is None:
            continue
        here = child(path, key)
        if isinstance(state, Said):
            severity = Severity.ERROR if state.refused else Severity.WARNING
            check.flaw(here, Flaw(state.message, state.hint, severity))
        elif isinstance(state, Mapping):
            _below(check, content, here, state)


def _below(check: Checker, content: Any, path: str, fields: Fields) -> None:
    if isinstance(content, dict):
        check_fields(check, content, path, fields)
    elif isinstance(content, list):
        for index, entry in enumerate(content):
            if isinstance(entry, dict):
                check_fields(check, entry, item(path, index), fields)


def rows(fields: Fields, path: str = "") -> Iterator[tuple[str, Said | str]]:
    """Return each field's path (`http.retries.attempts`, without marks for lists) and what becomes of it, in order."""
    for key, state in fields.items():
        here = f"{path}.{key}" if path else key
        if isinstance(state, Mapping):
            yield from rows(state, here)
        else:
            yield here, state


def state_of(fields: Fields, path: str) -> Said | str | None:
    """Return what becomes of the field at a path (`http.retries.attempts`), None if the table does not know it."""
    found: Fields | Said | str = fields
    for key in path.split("."):
        if not isinstance(found, Mapping):
            break
        following = found.get(key, found.get(ANY))
        if following is None:
            return None
        found = following
    return "" if isinstance(found, Mapping) else found
