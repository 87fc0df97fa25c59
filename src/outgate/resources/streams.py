"""Cuts a YAML stream into its documents' texts unparsed: a broken one cannot take others along."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# YAML 1.1, section 4.2: its line breaks. libyaml counts lines the same way, so numbers agree.
BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_BLANK = r"[ \t\r\n\x85\u2028\u2029]"
_MARK = "\ufeff"
_START = re.compile(rf"{_MARK}?---(?={_BLANK}|\Z)")
_END = re.compile(rf"\.\.\.(?={_BLANK}|\Z)")
_FILLING = rf"(?:{_BLANK}|#[^\r\n]*+)*+"
# No document, only markers and comments: libyaml gives an error for a "..." that ends nothing.
_NOTHING = re.compile(
    rf"{_MARK}?{_FILLING}(?:(?<![^\r\n{_MARK}])---(?={_BLANK}|\Z))?{_FILLING}(?:\.\.\.{_FILLING})?\Z"
)
_CONTENT = re.compile(rf"{_MARK}?+(?:[ \t]*[^ \t\r\n\x85\u2028\u2029#%]|[ \t]+%)")


@dataclass(frozen=True, slots=True)
class Part:
    """The text of at most one document, with what stands around it; `line` is its first, from 1."""

    text: str
    line: int

    @property
    def empty(self) -> bool:
        """Whether there is surely no document in it."""
        return _NOTHING.match(self.text) is not None


def split(text: str) -> tuple[Part, ...]:
    """Cut `text` before each `---` and after each `...`; the parts joined are `text` again.

    A marker stands at the very start of a line: YAML (1.1, section 9.1.2) forbids one there even
    inside quotes and block scalars, and whatever is indented is not one. Comments and directives
    (`%`) stay with the `---` that follows them. A byte order mark at the start of a line begins a
    document too: files that were joined end to end look so.
    """
    parts: list[Part] = []
    begin = offset = 0
    begin_line = 1
    open_document = False
    for number, line in enumerate(_lines(text), start=1):
        starts = _START.match(line) is not None
        if (starts and open_document) or (line.startswith(_MARK) and offset > begin):
            parts.append(Part(text[begin:offset], begin_line))
            begin, begin_line, open_document = offset, number, False
        open_document = open_document or starts or _CONTENT.match(line) is not None
        offset += len(line)
        if _END.match(line):
            parts.append(Part(text[begin:offset], begin_line))
            begin, begin_line, open_document = offset, number + 1, False
    if begin < len(text):
        parts.append(Part(text[begin:], begin_line))
    return tuple(parts)


def _lines(text: str) -> Iterator[str]:
    """Lines with their breaks; `str.splitlines` breaks at more characters than YAML."""
    begin = 0
    for match in BREAK.finditer(text):
        yield text[begin : match.end()]
        begin = match.end()
    if begin < len(text):
        yield text[begin:]
