"""Writes manifests that were laid over each other as Helm's templates.

A template is text, so that whatever Helm would take for an action of its own is escaped, and values are quoted.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from outgate.kube.helm.values import Value
from outgate.kube.helm.variants import Either, Fields, Items, Part
from outgate.resources.scalars import resolve

_PLAIN = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_./-]*")
# What a literal block shows as it is; Helm takes away blanks before an action.
_BLOCK = re.compile(r"\S[^\r\t\x00-\x09\x0b-\x1f]*\S")


class Writer:
    """Writes YAML in which samples are replaced by actions."""

    def __init__(self, values: Sequence[Value]) -> None:
        """Take the values whose samples there may be."""
        self._tokens = [each for each in values if each.marker]
        self._loops = [each for each in values if each.loop]

    def document(self, node: Fields) -> str:
        """Return a manifest."""
        return "".join(f"{each}\n" for each in self._lines(node))

    def _lines(self, node: Any) -> Iterator[str]:
        match node:
            case Fields(parts) if parts:
                for part in _ordered(parts):
                    yield from _under(part.condition, self._field(part.key, part.node))
            case Items(parts) if parts:
                for part in parts:
                    yield from _under(part.condition, self._item(part.node))
            case _:
                yield self._scalar(node)

    def _field(self, key: str, node: Any) -> Iterator[str]:
        name = _escaped(_quoted(key))
        match node:
            case Fields(parts) | Items(parts) if parts:
                yield f"{name}:"
                indent = "  " if isinstance(node, Fields) else ""
                yield from (indent + each for each in self._lines(node))
            case Either(parts):
                if (text := self._inline(node)) is not None:
                    yield f"{name}: {text}"
                    return
                yield from _chain(parts, lambda each: self._field(key, each))
            case str() if _is_block(node):
                yield from self._block(f"{name}: ", node)
            case _:
                yield f"{name}: {self._scalar(node)}"

    def _item(self, node: Any) -> Iterator[str]:
        if isinstance(node, str) and _is_block(node):
            yield from self._block("- ", node)
            return
        if isinstance(node, Either):
            if (text := self._inline(node)) is None:
                yield from _chain(node.parts, self._item)
                return
            lines = [text]
        else:
            lines = list(self._lines(node))
        if lines[0].startswith("{{-"):
            raise ValueError(f"a list's element begins with what may not be there: {lines}")
        whole = "\n".join(lines)
        lines = [f"- {lines[0]}", *(f"  {each}" for each in lines[1:])]
        for value in self._loops:
            if any(sample in whole for sample, _ in value.loop):
                lines = _looped(value, lines)
        yield from lines

    def _block(self, start: str, text: str) -> Iterator[str]:
        body = text.rstrip("\n")
        # With a line break at its end, or without.
        yield f"{start}|{'' if text.endswith(chr(10)) else '-'}"
        yield from (f"  {self._embedded(_escaped(each))}" for each in body.split("\n"))

    def _inline(self, node: Either) -> str | None:
        """Return alternatives as one scalar; None if one of them is none, or has lines."""
        found = [each.node for each in node.parts]
        if any(isinstance(each, str) != isinstance(found[0], str) for each in found):
            return None
        if any(isinstance(each, Fields | Items | Either | dict | list) for each in found):
            return None
        if any("\n" in str(each) for each in found):
            return None
        quote = '"' if isinstance(found[0], str) else ""
        texts = [
            self._embedded(_escaped(json.dumps(each, ensure_ascii=False).strip(quote or None)))
            for each in found
        ]
        inner = "".join(f"{_branch(index, node.parts)}{text}" for index, text in enumerate(texts))
        return f"{quote}{inner}{{{{ end }}}}{quote}"

    def _scalar(self, value: Any) -> str:
        if isinstance(value, Fields):
            return "{}"
        if isinstance(value, Items):
            return "[]"
        for each in self._tokens:
            if each.marker == str(value):
                return each.alone
        if any(each.marker in str(value) for each in self._tokens):
            return self._embedded(_escaped(json.dumps(value, ensure_ascii=False)))
        return _escaped(_quoted(value))

    def _embedded(self, text: str) -> str:
        for each in self._tokens:
            text = text.replace(each.marker, each.embedded)
        return text


def _looped(value: Value, lines: list[str]) -> list[str]:
    """Return a list's element for each element of a value."""
    for sample, action in value.loop:
        lines = [each.replace(json.dumps(sample), action).replace(sample, action) for each in lines]
    names = ", ".join(name for name in ("$name", "$value") if any(name in x for x in lines))
    return [f"{{{{- range {names} := {value.reference} }}}}", *lines, "{{- end }}"]


def _ordered(parts: Sequence[Part]) -> list[Part]:
    """Put a field that is always there first: a list's dash stands before it."""
    return (
        sorted(parts, key=lambda each: bool(each.condition))
        if parts[:1] and parts[0].condition
        else list(parts)
    )


def _under(condition: str, lines: Iterator[str]) -> Iterator[str]:
    if condition:
        yield f"{{{{- if {condition} }}}}"
    yield from lines
    if condition:
        yield "{{- end }}"


def _chain(parts: Sequence[Part], lines: Any) -> Iterator[str]:
    for index, part in enumerate(parts):
        yield _branch(index, parts).replace("{{", "{{-", 1)
        yield from lines(part.node)
    yield "{{- end }}"


def _branch(index: int, parts: Sequence[Part]) -> str:
    if index == len(parts) - 1:
        return "{{ else }}"
    return f"{{{{ {'else if' if index else 'if'} {parts[index].condition} }}}}"


def _escaped(text: str) -> str:
    return text.replace("{{", '{{ "{{" }}')


def _is_block(text: str) -> bool:
    body = text.rstrip("\n")
    return "\n" in body and len(text) - len(body) < 2 and _BLOCK.fullmatch(body) is not None


def _quoted(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        try:
            if isinstance(resolve(value, plain=True), str):
                return value
        except ValueError:
            pass
    return json.dumps(value, ensure_ascii=False)
