"""Builds a value from libyaml's events, with every field's line, and bounds what a document costs.

PyYAML's own loaders are not used: they keep the last of two equal keys, forget lines, follow
aliases without a bound and recurse without one. libyaml's parser below them does none of that.
"""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from outgate.errors import InvalidError
from outgate.resources.documents import Lines
from outgate.resources.paths import printable, quote, typed
from outgate.resources.problems import Location, Problem
from outgate.resources.scalars import MERGE, Scalar, resolve
from outgate.resources.streams import BREAK, Part

# Real objects have at most a few thousand nodes, nested some 20 levels deep.
MAX_NODES = 100_000
MAX_DEPTH = 100

# YAML 1.1, section 4.1.1: the characters that a stream may hold.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HINTS = {
    "found character that cannot start any token": (
        "indent with spaces, not tabs; quote a value that starts with @, % or `"
    ),
    "mapping values are not allowed in this context": (
        'check the indentation; quote a value that contains ": "'
    ),
    "did not find expected key": "check the indentation",
    "could not find expected ':'": 'a field is written "name: value"',
    "found undefined tag handle": "custom tags are not allowed",
}


@dataclass(frozen=True, slots=True)
class _Node:
    """A composed value; `size` counts its nodes with aliases expanded, `height` its levels."""

    value: Any
    lines: Lines
    size: int
    height: int


def compose(part: Part, file: str) -> tuple[Any, Lines] | None:
    """Value and lines of the document in `part`, None if there is none.

    InvalidError, with one problem, if the document is refused.
    """
    return _Composer(part, file).document()


class _Composer:
    """State of one document: anchors seen so far (None while one is open), and nodes counted."""

    def __init__(self, part: Part, file: str) -> None:
        self._text = part.text.removeprefix("\ufeff")
        self._first = part.line
        self._file = file
        self._anchors: dict[str, _Node | None] = {}
        self._nodes = 0
        self._events = self._guarded()

    def document(self) -> tuple[Any, Lines] | None:
        self._check_characters()
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        node = self._node(next(self._events), 1)
        next(self._events)
        end = next(self._events)
        if not isinstance(end, yaml.StreamEndEvent):
            raise self._refused(
                self._line(end), "more than one document", 'put "---" between documents'
            )
        return node.value, node.lines

    def _guarded(self) -> Iterator[yaml.Event]:
        """Events of the document, with the errors of the YAML library made into problems."""
        try:
            yield from yaml.parse(self._text, Loader=yaml.CSafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = self._first + (mark.line if mark else 0)
            problem = error.problem or "it cannot be parsed"
            context = f"{error.context}, " if error.context else ""
            message = f"not valid YAML: {context}{problem}"
            raise self._refused(line, message, _HINTS.get(problem, "")) from error
        except yaml.YAMLError as error:
            message = f"not valid YAML: {printable(str(error), 200)}"
            raise self._refused(self._first, message) from error

    def _check_characters(self) -> None:
        if not (match := _FORBIDDEN.search(self._text)):
            return
        code = ord(match[0])
        line = self._first + len(BREAK.findall(self._text, 0, match.start()))
        if 0xDC80 <= code <= 0xDCFF:
            raise self._refused(
                line, f"not UTF-8: byte 0x{code - 0xDC00:02x}", "save the file as UTF-8"
            )
        raise self._refused(line, f"not valid YAML: the character U+{code:04X} is not allowed")

    def _node(self, event: yaml.Event, depth: int) -> _Node:
        line = self._line(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), line, depth)
        self._count(1, depth, line)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self._anchors[anchor] = None
        node = self._content(event, line, depth)
        if anchor:
            self._anchors[anchor] = node
        return node

    def _content(self, event: yaml.Event, line: int, depth: int) -> _Node:
        if isinstance(event, yaml.ScalarEvent):
            return _Node(self._scalar(event, line), Lines(line, {}), 1, 1)
        sequence = isinstance(event, yaml.SequenceStartEvent)
        tag = getattr(event, "tag", None)
        if tag not in (None, "!", f"tag:yaml.org,2002:{'seq' if sequence else 'map'}"):
            raise self._refused(line, f"the tag {printable(tag)} is not allowed", "remove the tag")
        return self._sequence(line, depth) if sequence else self._mapping(line, depth)

    def _alias(self, anchor: str, line: int, depth: int) -> _Node:
        if anchor not in self._anchors:
            raise self._refused(line, f"the alias *{printable(anchor)} names no anchor above it")
        node = self._anchors[anchor]
        if node is None:
            raise self._refused(line, f"the alias *{printable(anchor)} stands inside what it names")
        self._count(node.size, depth + node.height - 1, line)
        # A copy: a YAML writer would show a shared value as an alias again.
        return _Node(copy.deepcopy(node.value), Lines(line, {}), node.size, node.height)

    def _sequence(self, line: int, depth: int) -> _Node:
        values: list[Any] = []
        below: dict[str, Lines] = {}
        size = height = 0
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            node = self._node(event, depth + 1)
            below[str(len(values))] = node.lines
            values.append(node.value)
            size, height = size + node.size, max(height, node.height)
        return _Node(values, Lines(line, below), size + 1, height + 1)

    def _mapping(self, line: int, depth: int) -> _Node:
        values: dict[str, Any] = {}
        below: dict[str, Lines] = {}
        merged: list[_Node] = []
        size = height = 0
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key_line = self._line(event)
            merge = _is_merge(event)
            key = MERGE if merge else self._key(event, depth)
            if key in below and not merge:
                message = f"the field {quote(key)} is already set on line {below[key].line}"
                raise self._refused(key_line, message, "remove one of the two")
            node = self._node(next(self._events), depth + 1)
            size, height = size + node.size + 1, max(height, node.height)
            if merge:
                merged.append(_Node(node.value, Lines(key_line, {}), 0, 0))
            else:
                values[key], below[key] = node.value, Lines(key_line, node.lines.below)
        for node in merged:
            self._merge(node, values, below)
        return _Node(values, Lines(line, below), size + 1, height + 1)

    def _key(self, event: yaml.Event, depth: int) -> str:
        line = self._line(event)
        if not isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
            raise self._refused(line, "a field's name must be a string, not a mapping or list")
        key = self._node(event, depth + 1).value
        if isinstance(key, str):
            return key
        written = event.value if isinstance(event, yaml.ScalarEvent) else ""
        hint = f"write it in quotes: {quote(written)}" if written else ""
        raise self._refused(line, f"a field's name must be a string, not {typed(key)}", hint)

    def _merge(self, node: _Node, values: dict[str, Any], below: dict[str, Lines]) -> None:
        """Add the fields that `<<` brings, below those written out (https://yaml.org/type/merge.html)."""
        sources = node.value if isinstance(node.value, list) else [node.value]
        for source in sources:
            if not isinstance(source, dict):
                message = 'the value of "<<" must be a mapping or a list of mappings'
                raise self._refused(node.lines.line, message)
            for key, value in source.items():
                if key not in values:
                    values[key], below[key] = value, node.lines

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Scalar:
        try:
            return resolve(event.value, plain=event.implicit[0], tag=event.tag)
        except ValueError as error:
            message = printable(str(error), 200)
            raise self._refused(line, message, "write text in quotes") from error

    def _count(self, nodes: int, depth: int, line: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            message = f"more than {MAX_NODES} values in one document, aliases expanded"
            raise self._refused(line, message, 'split it with "---"')
        if depth > MAX_DEPTH:
            raise self._refused(line, f"nested more than {MAX_DEPTH} levels deep")

    def _line(self, event: yaml.Event) -> int:
        return self._first + (event.start_mark.line if event.start_mark else 0)

    def _refused(self, line: int, message: str, hint: str = "") -> InvalidError:
        return InvalidError([Problem(Location(self._file, line), "", "", message, hint)])


def _is_merge(event: yaml.Event) -> bool:
    return isinstance(event, yaml.ScalarEvent) and event.implicit[0] and event.value == MERGE
