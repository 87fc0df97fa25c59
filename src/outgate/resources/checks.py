"""Reads typed fields out of a document and collects every problem on the way, never only the first.

A field that is `null` counts as left out, as in Kubernetes (`creationTimestamp: null` is common).
"""

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from outgate.resources.documents import Document
from outgate.resources.names import Flaw
from outgate.resources.paths import child, item, quote, typed
from outgate.resources.problems import Problem, Severity

# Names longer than any real field are not compared, nor more than a person would read.
_LONGEST_FIELD = 40
_MOST_HINTS = 20
# One slip in a name of four letters.
_LIKENESS = 0.75


class Checker:
    """Problems of one document; the reading methods return None for what is absent or invalid."""

    def __init__(self, document: Document) -> None:
        """Start with no problem."""
        self._document = document
        self._resource = document.resource
        self._problems: list[Problem] = []

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All so far, each once, in the order of the lines they are on."""
        return tuple(sorted(dict.fromkeys(self._problems), key=lambda problem: problem.location))

    @property
    def failed(self) -> bool:
        """Whether any problem is an error."""
        return any(problem.severity is Severity.ERROR for problem in self._problems)

    @property
    def errors(self) -> int:
        """How many errors there are so far."""
        return sum(problem.severity is Severity.ERROR for problem in self._problems)

    def failed_at(self, path: str) -> bool:
        """Whether the field at `path` itself has a problem."""
        return any(problem.path == path for problem in self._problems)

    def flaw(self, path: str, flaw: Flaw | None) -> bool:
        """Note what a rule found wrong with the field at `path`; True if it is an error."""
        if flaw is None:
            return False
        location = self._document.location_of(path)
        self._problems.append(
            Problem(location, self._resource, path, flaw.message, flaw.hint, flaw.severity)
        )
        return flaw.severity is Severity.ERROR

    def error(self, path: str, message: str, hint: str = "") -> None:
        """Note that the field at `path` is wrong."""
        self.flaw(path, Flaw(message, hint))

    def warning(self, path: str, message: str, hint: str = "") -> None:
        """Note that the field at `path` does not do what one may think."""
        self.flaw(path, Flaw(message, hint, Severity.WARNING))

    def string(self, parent: Mapping[str, Any], path: str, key: str) -> str | None:
        """Text of field `key` of `parent`, which stands at `path`."""
        value = parent.get(key)
        if value is None or isinstance(value, str):
            return value
        hint = "" if isinstance(value, dict | list) else "write it in quotes"
        self.error(child(path, key), f"must be a string, not {typed(value)}", hint)
        return None

    def whole(
        self, parent: Mapping[str, Any], path: str, key: str, limits: tuple[int, int], allowed: str
    ) -> int | None:
        """Whole number within `limits`, both included; `allowed` says them where it is another."""
        value = parent.get(key)
        if value is None:
            return None
        low, high = limits
        if type(value) is not int:
            hint = "remove the quotes" if isinstance(value, str) and value.isdecimal() else ""
            self.error(child(path, key), f"must be a whole number, not {typed(value)}", hint)
            return None
        if not low <= value <= high:
            self.error(child(path, key), f"{value} is out of range: {allowed}")
            return None
        return value

    def mapping(self, parent: Mapping[str, Any], path: str, key: str) -> Mapping[str, Any] | None:
        """Fields of field `key` of `parent`, which stands at `path`."""
        value = parent.get(key)
        if value is None or isinstance(value, dict):
            return value
        self.error(child(path, key), f"must be a mapping of fields, not {typed(value)}")
        return None

    def strings(self, parent: Mapping[str, Any], path: str, key: str) -> dict[str, str]:
        """Entries of a mapping of text to text; those with other values are noted and left out."""
        entries = self.mapping(parent, path, key) or {}
        here = child(path, key)
        found = {name: self.string(entries, here, name) for name in entries}
        for name, value in entries.items():
            if value is None:
                self.error(child(here, name), "must be a string, not null", 'write "" for none')
        return {name: value for name, value in found.items() if value is not None}

    def items(
        self, parent: Mapping[str, Any], path: str, key: str
    ) -> list[tuple[int, Mapping[str, Any]]]:
        """Index and fields of each item of a list of mappings; others are noted and left out."""
        value = parent.get(key)
        here = child(path, key)
        if not isinstance(value, list | None):
            self.error(here, f"must be a list, not {typed(value)}", 'begin each item with "- "')
            return []
        found: list[tuple[int, Mapping[str, Any]]] = []
        for index, entry in enumerate(value or ()):
            if isinstance(entry, dict):
                found.append((index, entry))
            else:
                self.error(item(here, index), f"must be a mapping of fields, not {typed(entry)}")
        return found

    def choice(
        self, parent: Mapping[str, Any], path: str, key: str, allowed: Collection[str]
    ) -> str | None:
        """Text of a field that must be one of `allowed`; empty counts as left out."""
        value = self.string(parent, path, key)
        if not value or value in allowed:
            return value or None
        message = f"{quote(value)} is not allowed: write {alternatives(allowed)}"
        self.error(child(path, key), message, _did_you_mean(value, allowed))
        return None

    def unknown_fields(self, parent: Mapping[str, Any], path: str, known: Collection[str]) -> None:
        """Warn of each field that is not known, and so has no effect; mostly a slip of the pen."""
        unknown = [key for key in parent if key not in known]
        for number, key in enumerate(unknown):
            hint = _did_you_mean(key, known) if number < _MOST_HINTS else ""
            self.warning(child(path, key), "unknown field, it has no effect", hint)


def closest(text: str, known: Collection[str]) -> str | None:
    """Find the one of `known` that `text` probably means, whatever its case."""
    if len(text) > _LONGEST_FIELD:
        return None
    lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(text.lower(), lower, n=1, cutoff=_LIKENESS)
    return lower[found[0]] if found else None


def _did_you_mean(text: str, known: Collection[str]) -> str:
    meant = closest(text, known)
    return f"did you mean {meant}?" if meant else ""


def alternatives(allowed: Collection[str]) -> str:
    """List what may be written, for a message."""
    *first, last = allowed
    return f"{', '.join(first)} or {last}" if first else last
