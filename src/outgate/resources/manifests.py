"""Reads manifests as kubectl does: YAML or JSON, many documents, `List` kinds.

What is broken becomes a problem of its own. The source is untrusted: each document's size, number
of values and depth are bounded.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from outgate.errors import InvalidError
from outgate.resources.composing import compose
from outgate.resources.documents import Document, Lines
from outgate.resources.paths import item, typed
from outgate.resources.problems import Location, Problem
from outgate.resources.streams import BREAK, Part, split

__all__ = ["MAX_BYTES", "Document", "Manifests", "read"]

# Of a document's text in UTF-8; etcd, which stores Kubernetes' objects, refuses over 1.5 MiB.
MAX_BYTES = 1024 * 1024

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# What may stand before a JSON object: blank space, comments, the document marker.
# Possessive, as "####" could else be cut into comments in exponentially many ways.
_BEFORE_JSON = re.compile(r"\ufeff?(?:[ \t\r\n]|#[^\r\n]*+|---(?=[ \t\r\n]))*+(?={)")
_SPACE = re.compile(r"[ \t\r\n]*")
# A backslash with what follows it, two for the UTF-16 pair that JSON writes for one character; or
# a character that is a line break in YAML, and not in JSON.
_ESCAPE = re.compile(
    r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\.|([\x85\u2028\u2029])",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Manifests:
    """Documents in the order in which they were written, and what was wrong with the others."""

    documents: tuple[Document, ...]
    problems: tuple[Problem, ...]


def read(data: bytes | str, file: str) -> Manifests:
    """Read all documents in `data`; `file` names the source in problems.

    Bytes are UTF-8, or UTF-16 with a byte order mark. Never raises because of `data`. Empty
    documents are left out. The items of a `List`, or of any kind that ends in "List" and has an
    array `items`, are given as documents of their own, with their own lines.
    """
    documents: list[Document] = []
    problems: list[Problem] = []
    for part in split(data if isinstance(data, str) else _decode(data)):
        for piece in _pieces(part):
            try:
                documents.extend(_documents(piece, file, problems))
            except InvalidError as error:
                problems.extend(p for p in error.problems if isinstance(p, Problem))
    return Manifests(tuple(documents), tuple(problems))


def _decode(data: bytes) -> str:
    """Text of `data`; bytes that are not UTF-8 become lone surrogates, for which one is refused."""
    if data.startswith(_UTF16):
        return data.decode("utf-16", errors="replace")
    return data.decode("utf-8", errors="surrogateescape")


def _documents(part: Part, file: str, problems: list[Problem]) -> Iterator[Document]:
    if part.empty:
        return
    size = len(part.text.encode("utf-8", errors="surrogatepass"))
    if size > MAX_BYTES:
        message = f"the document has {size} bytes, more than the {MAX_BYTES} (1 MiB) allowed"
        problem = Problem(Location(file, part.line), "", "", message, 'split it with "---"')
        raise InvalidError([problem])
    composed = compose(part, file)
    if composed is not None and composed[0] is not None:
        yield from _flatten(*composed, file, problems)


def _flatten(value: Any, lines: Lines, file: str, problems: list[Problem]) -> Iterator[Document]:
    location = Location(file, lines.line)
    if not isinstance(value, dict):
        message = f"a document must be a mapping of fields, not {typed(value)}"
        hint = "a resource starts with apiVersion, kind and metadata"
        problems.append(Problem(location, "", "", message, hint))
        return
    if not _is_list(value):
        yield Document(value, location, lines)
        return
    items, item_lines = value.get("items"), lines.below.get("items", lines)
    if not isinstance(items, list | None):
        message = f"must be a list, not {typed(items)}"
        problems.append(Problem(Location(file, item_lines.line), "", "items", message))
        return
    for index, entry in enumerate(items or ()):
        # What an alias brought has no lines of its own: the alias's line is the best there is.
        entry_lines = item_lines.below.get(str(index), Lines(item_lines.line, {}))
        if isinstance(entry, dict):
            yield from _flatten(_inherit(entry, value), entry_lines, file, problems)
        else:
            message = f"must be a mapping, not {typed(entry)}"
            where = Location(file, entry_lines.line)
            problems.append(Problem(where, "", item("items", index), message))


def _is_list(value: Mapping[str, Any]) -> bool:
    kind = value.get("kind")
    if not isinstance(kind, str) or not kind.endswith("List"):
        return False
    return kind == "List" or isinstance(value.get("items", ""), list | None)


def _inherit(entry: dict[str, Any], parent: Mapping[str, Any]) -> dict[str, Any]:
    """Give an item of a `ServiceList` its kind and apiVersion: the API leaves both out there."""
    kind = parent["kind"].removesuffix("List")
    if not kind or entry.get("kind"):
        return entry
    return {"apiVersion": parent.get("apiVersion"), "kind": kind} | {
        key: field for key, field in entry.items() if field or key not in ("apiVersion", "kind")
    }


def _pieces(part: Part) -> Iterator[Part]:
    """Cut apart JSON objects that follow each other without `---`, as kubectl allows.

    They are then written so that YAML reads the same in them as JSON does.
    """
    before = _BEFORE_JSON.match(part.text)
    position, line, found = before.end() if before else 0, part.line, False
    line += len(BREAK.findall(part.text, 0, position))
    while before and position < len(part.text):
        try:
            _, end = json.JSONDecoder().raw_decode(part.text, position)
        except (ValueError, RecursionError):
            break
        found = True
        yield Part(_ESCAPE.sub(_as_yaml, part.text[position:end]), line)
        space = _SPACE.match(part.text, end)
        following = space.end() if space else end
        line += len(BREAK.findall(part.text, position, following))
        position = following
    if not found:
        yield part
    elif position < len(part.text):
        yield Part(part.text[position:], line)


def _as_yaml(match: re.Match[str]) -> str:
    high, low, line_break = match.groups()
    if line_break:
        return f"\\u{ord(line_break):04x}"
    if high is None:
        return match[0]
    return f"\\U{0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00:08x}"
