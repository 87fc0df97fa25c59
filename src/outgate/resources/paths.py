"""Field paths and users' text in messages: one spelling everywhere, safe to print on a terminal."""

import json
import re
from typing import Any

_SIMPLE = re.compile(r"[A-Za-z0-9_-]+")
_SEGMENT = re.compile(r"\.?([^.\[\]]+)|\[([^\]]*)\]")
_LONGEST_TEXT = 80
# The longest label key that Kubernetes allows is 253 + 1 + 63 characters.
_LONGEST_KEY = 400


def child(path: str, key: str) -> str:
    """Path of field `key` below `path` (empty: the document).

    As kubectl writes it: `spec.type`, `metadata.labels[example.com/app]`.
    """
    key = printable(key, _LONGEST_KEY)
    if not _SIMPLE.fullmatch(key):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def item(path: str, index: int) -> str:
    """Path of item `index`, counted from 0, of the list at `path`: `spec.ports[0]`."""
    return f"{path}[{index}]"


def segments(path: str) -> tuple[str, ...]:
    """Keys and indexes of `path`, outermost first; an index is text too."""
    return tuple(plain or bracketed for plain, bracketed in _SEGMENT.findall(path))


def quote(value: Any) -> str:
    """Name a value in a message: text in quotes, cut where long; other scalars as JSON."""
    if isinstance(value, str):
        cut = value if len(value) <= _LONGEST_TEXT else value[:_LONGEST_TEXT] + "..."
        return printable(json.dumps(cut, ensure_ascii=False), 8 * _LONGEST_TEXT)
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else json.dumps(value)


def typed(value: Any) -> str:
    """Name a value with its type, for "must be a string, not ...": `the number 80`."""
    if isinstance(value, bool):
        return f"the boolean {quote(value)}"
    if isinstance(value, int | float):
        return f"the number {quote(value)}"
    return f"the string {quote(value)}" if isinstance(value, str) else quote(value)


def printable(text: str, longest: int = _LONGEST_TEXT) -> str:
    """`text` with control characters escaped, as they could drive a terminal, cut to `longest`."""
    cut = text if len(text) <= longest else text[:longest] + "..."
    if cut.isprintable():
        return cut
    return "".join(char if char.isprintable() else _escaped(char) for char in cut)


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}"
