"""Writes a document that was changed, as YAML that reads the same to kubectl, or as JSON."""

import json
import re
from typing import Any

import yaml

from outgate.resources.scalars import resolve
from outgate.resources.streams import BREAK

_MARKER = re.compile(r"\ufeff?---(?=[ \t\r\n]|\Z)")
# Lines without content: blank, a comment, a directive.
_EMPTY = re.compile(r"\ufeff?(?:[ \t]*(?:#.*)?|%.*)\Z", re.DOTALL)
_COMMENT = re.compile(r"#|\.\.\.")


class _Dumper(yaml.CSafeDumper):
    """Quotes what kubectl would not read as text, and shows text of many lines as such."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write a value out wherever it is used."""
        del data
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = None
    if "\n" in value.rstrip("\n"):
        style = "|"
    elif not _is_text(value):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)


def _is_text(value: str) -> bool:
    try:
        return isinstance(resolve(value, plain=True), str)
    except ValueError:
        return False


_Dumper.add_representer(str, _text)


def as_yaml(value: Any, text: str) -> str:
    """Write a document in place of `text`, with the comments before and after that."""
    lines = BREAK.sub("\n", text).splitlines(keepends=True)
    head, tail = _head(lines), _tail(lines)
    body = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return _breaks("".join((*head, body, *tail)), text)


def _head(lines: list[str]) -> list[str]:
    """Return what stands before a document's first field: comments, directives, `---`."""
    head: list[str] = []
    for line in lines:
        if match := _MARKER.match(line):
            rest = line[match.end() :]
            if not _EMPTY.match(rest.strip()):
                return [*head, match[0] + "\n"]
        elif not _EMPTY.match(line.rstrip()):
            break
        head.append(line if line.endswith("\n") else line + "\n")
    return head


def _tail(lines: list[str]) -> list[str]:
    """Return what stands behind its last: comments that begin a line, and `...`."""
    begin = end = len(lines)
    while end and (not lines[end - 1].strip() or _COMMENT.match(lines[end - 1])):
        end -= 1
        if lines[end].strip():
            begin = end
    return lines[begin:]


def as_json(value: Any, text: str) -> str:
    """Write a document in place of the JSON object `text`, indented if that is."""
    indented = re.match(r"\{[ \t]*\r?\n(\s*)", text)
    indent = len(indented[1]) if indented else None
    separators = None if indent is not None or '": ' in text or '", "' in text else (",", ":")
    # Escaped where the text was, so that every reader finds the same characters.
    body = json.dumps(value, indent=indent, separators=separators, ensure_ascii=text.isascii())
    return _breaks(body, text)


def _breaks(body: str, text: str) -> str:
    return body.replace("\n", "\r\n") if "\r\n" in text else body
