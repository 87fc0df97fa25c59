"""Makes the reference page of a kind of ours from the declaration of its fields."""

import re
from collections.abc import Iterable, Iterator

from outgate.resources.native.objects import API_VERSION, Kind
from outgate.resources.schemas import (
    Choice,
    Duration,
    Field,
    Fields,
    Flag,
    Items,
    Number,
    Pairs,
    Rule,
    Schema,
    Size,
    Text,
)

_TITLES = "| field | value | meaning |"


def page(kind: Kind, note: str, beside: str) -> str:
    """Return the page; `beside` is the paragraph that leads elsewhere."""
    parts = [f"# {kind.name}", "", note, "", kind.doc, "", beside, ""]
    short = ", ".join(f"`{each}`" for each in kind.short)
    parts += [f"`apiVersion: {API_VERSION}`, `kind: {kind.name}`; short name {short}.", ""]
    parts += [_GENERAL, ""]
    seen: dict[int, str] = {}
    parts += _section("spec", kind.spec, seen)
    return "\n".join(parts)


_GENERAL = """\
A field that is not listed here is an error, and so is one without a value: `tls:` does not mean `tls: {}`. (An API
server drops what has no value before it looks.) Durations are written as `250ms`, `5s` or `1m30s`, sizes as `2048`,
`64k` or `1Mi`. Fields in bold are required. What is marked *one machine only* does not exist in a cluster."""


def _section(path: str, fields: Fields, seen: dict[int, str]) -> Iterator[str]:
    """Yield a table of the fields, and then of what is below each; what has been shown elsewhere is linked there."""
    seen[id(fields)] = path
    yield from (f"## `{path}`", "", _TITLES, "|---|---|---|")
    below: list[tuple[str, Fields]] = []
    for each in fields.fields:
        inner = _inner(each.schema)
        here = f"{path}.{each.name}" + ("[]" if isinstance(each.schema, Items) else "")
        if inner is not None and id(inner) not in seen:
            below.append((here, inner))
            seen[id(inner)] = here
        yield _row(each, seen.get(id(inner), "") if inner else "")
    yield ""
    if fields.rules:
        yield from ("Refused:", "", *_refused(fields.rules), "")
    for here, inner in below:
        yield from _section(here, inner, seen)


def _inner(schema: Schema) -> Fields | None:
    if isinstance(schema, Items):
        return _inner(schema.of)
    return schema if isinstance(schema, Fields) else None


def _row(field: Field, where: str) -> str:
    name = f"**`{field.name}`**" if field.required else f"`{field.name}`"
    value = _value(field.schema)
    if where:
        value = f"{value}, see [`{where}`](#{_anchor(where)})"
    if field.default not in (None, ""):
        value += f"; {_default(field)} if it is left out"
    meaning = field.doc + (" *One machine only.*" if field.local else "")
    return f"| {name} | {value} | {meaning} |"


def _default(field: Field) -> str:
    if isinstance(field.default, list):
        return f"`[{', '.join(field.default)}]`"
    return (
        f"`{str(field.default).lower()}`"
        if isinstance(field.default, bool)
        else f"`{field.default}`"
    )


def _anchor(path: str) -> str:
    return re.sub(r"[^a-z0-9-]", "", path.lower())


def _refused(rules: Iterable[Rule]) -> Iterator[str]:
    """Yield a line for each message; where several fields have it, without the hint, which names one of them."""
    found: dict[str, list[Rule]] = {}
    for each in rules:
        found.setdefault(each.message, []).append(each)
    for message, same in found.items():
        named = ", ".join(f"`{each.field}`" for each in same if each.field)
        text = same[0].text if len(same) == 1 else message
        yield f"- {named}: {text}" if named else f"- {text}"


def _value(schema: Schema) -> str:
    match schema:
        case Text():
            return schema.form.says if schema.form else "text"
        case Choice():
            return ", ".join(f"`{each}`" for each in schema.values)
        case Number():
            kind = "whole number" if schema.whole else "number"
            return f"{kind}, {_figure(schema.least)} to {_figure(schema.most)}"
        case Flag():
            return "`true` or `false`"
        case Fields():
            return "mapping"
        case _:
            return _longer(schema)


def _longer(schema: Duration | Size | Items | Pairs) -> str:
    match schema:
        case Duration():
            return "duration" if schema.least == "0s" else f"duration, at least `{schema.least}`"
        case Size():
            return f"size, {_figure(schema.least)} to {_figure(schema.most)} bytes"
        case Items():
            inner = _value(schema.of)
            plural = "list" if inner == "mapping" else f"list of: {inner}"
            return f"{plural}; {'1' if schema.least else '0'} to {schema.most}"
        case Pairs():
            return f"mapping of {schema.keys.says} to text, at most {schema.most}"


def _figure(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"
