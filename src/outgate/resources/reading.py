"""Reads a value by its schema into typed values, and notes every problem on the way.

Stricter than what is read of Kubernetes' own kinds: a field that is unknown, or null, is an error. Left out in silence
it could open what was to be closed, as `tls:` without a value would.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from outgate.resources.checks import Checker, alternatives, closest
from outgate.resources.paths import child, item, quote, typed
from outgate.resources.schemas import (
    Choice,
    Duration,
    Fields,
    Flag,
    Items,
    Number,
    Pairs,
    Schema,
    Size,
    Text,
)

DURATION = r"([0-9]{1,5}(h|m|s|ms)){1,4}"
"""Gateway API's (GEP-2257)."""
QUANTITY = r"[0-9]{1,15}(k|M|G|Ki|Mi|Gi)?"

_DURATION, _PART = re.compile(DURATION), re.compile(r"([0-9]+)(h|ms|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_QUANTITY = re.compile(r"([0-9]{1,15})(k|M|G|Ki|Mi|Gi)?")
_BYTES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def read(check: Checker, schema: Schema, value: Any, path: str) -> Any:
    """Return what `value`, which stands at `path`, is by its schema; of no use where `check` has a new error."""
    return _READERS[type(schema)](check, schema, value, path)


def defaulted(schema: Schema, value: Any) -> Any:
    """Return a value with the defaults of all that it leaves out, or has as null, as an API server puts them there."""
    match schema:
        case Fields() if isinstance(value, dict):
            found = dict(value)
            for each in schema.fields:
                if found.get(each.name) is None and each.default is not None:
                    found[each.name] = each.default
                elif each.name in found:
                    found[each.name] = defaulted(each.schema, found[each.name])
            return found
        case Items() if isinstance(value, list):
            return [defaulted(schema.of, each) for each in value]
        case _:
            return value


def seconds(text: str) -> float:
    """Return a valid duration in seconds."""
    # In whole milliseconds: a sum of 0.001 would not be what was written.
    return sum(int(n) * round(_SECONDS[unit] * 1000) for n, unit in _PART.findall(text)) / 1000


def _string(check: Checker, value: Any, path: str) -> str | None:
    if isinstance(value, str):
        return value
    hint = "" if isinstance(value, dict | list | None) else "write it in quotes"
    check.error(path, f"must be a string, not {typed(value)}", hint)
    return None


def _text(check: Checker, schema: Text, value: Any, path: str) -> Any:
    text = _string(check, value, path)
    if text is None:
        return None
    longest = schema.form.longest if schema.form else schema.longest
    if not text and not schema.empty:
        check.error(path, "is empty", "write a value, or remove the field")
    elif len(text) > longest:
        message = f"{quote(text)} is {len(text)} characters long, at most {longest} are allowed"
        check.error(path, message)
    elif schema.form and text and not check.flaw(path, schema.form.flaw(text)):
        return schema.form.make(text)
    return text


def _choice(check: Checker, schema: Choice, value: Any, path: str) -> Any:
    text = _string(check, value, path)
    if text is None or text in schema.values:
        return schema.values[text] if text is not None else None
    meant = closest(text, schema.values)
    message = f"{quote(text)} is not allowed: write {alternatives(schema.values)}"
    check.error(path, message, f"did you mean {meant}?" if meant else "")
    return None


def _number(check: Checker, schema: Number, value: Any, path: str) -> Any:
    least, most = (
        f"{each:g}" if each < 10**6 else str(int(each)) for each in (schema.least, schema.most)
    )
    kind = "whole number" if schema.whole else "number"
    rule = f"{schema.what} is a {kind} from {least} to {most}"
    numeric = type(value) is int or (type(value) is float and not schema.whole)
    if not numeric:
        hint = "remove the quotes" if isinstance(value, str) and value.isdecimal() else ""
        check.error(path, f"must be a {kind}, not {typed(value)}: {rule}", hint)
    elif not schema.least <= value <= schema.most:
        check.error(path, f"{value} is out of range: {rule}")
    return value if schema.whole or not numeric else float(value)


def _flag(check: Checker, _: Flag, value: Any, path: str) -> Any:
    if not isinstance(value, bool):
        hint = "remove the quotes" if value in ("true", "false") else ""
        check.error(path, f"must be true or false, not {typed(value)}", hint)
    return value


def _duration(check: Checker, schema: Duration, value: Any, path: str) -> float | None:
    example = "write it as 5s, 250ms or 1m30s"
    if type(value) is int and 0 <= value < 100_000:
        check.error(path, f"must be a duration, not {typed(value)}", f"with its unit: {value}s")
        return None
    text = _string(check, value, path)
    if text is None:
        return None
    if not _DURATION.fullmatch(text):
        check.error(path, f"{quote(text)} is not a duration", example)
        return None
    found = seconds(text)
    if found < seconds(schema.least):
        check.error(path, f"{text} is too short: at least {schema.least} is needed")
    return found


def _size(check: Checker, schema: Size, value: Any, path: str) -> int | None:
    # As YAML has it 1024 is a number, and a quantity all the same.
    text = str(value) if type(value) is int else _string(check, value, path)
    if text is None:
        return None
    match = _QUANTITY.fullmatch(text)
    if match is None:
        check.error(
            path, f"{quote(text)} is not a quantity of bytes", "write it as 1Mi, 64k or 2048"
        )
        return None
    found = int(match[1]) * _BYTES[match[2] or ""]
    if not schema.least <= found <= schema.most:
        rule = f"from {schema.least} to {schema.most} bytes are allowed"
        check.error(path, f"{quote(text)} is out of range: {rule}")
    return found


def _items(check: Checker, schema: Items, value: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        check.error(path, f"must be a list, not {typed(value)}", 'begin each item with "- "')
        return ()
    if not schema.least <= len(value) <= schema.most:
        few = f"at least {schema.least} is needed" if len(value) < schema.least else ""
        many = f"{len(value)} are too many: at most {schema.most} are allowed"
        hint = "write one, or remove the field" if few else "divide them among several resources"
        check.error(path, few or many, hint)
        return ()
    found = tuple(
        read(check, schema.of, each, item(path, index)) for index, each in enumerate(value)
    )
    _check_distinct(check, schema, value, path)
    return found


def _check_distinct(check: Checker, schema: Items, value: list[Any], path: str) -> None:
    if not schema.key:
        return
    first: dict[Any, int] = {}
    for index, entry in enumerate(value):
        here = item(path, index)
        each = entry
        if schema.key != ".":
            each = entry.get(schema.key) if isinstance(entry, dict) else None
            here = child(here, schema.key)
        if not isinstance(each, str | int):
            continue
        key = each.lower().removesuffix(".") if schema.folds and isinstance(each, str) else each
        if (other := first.setdefault(key, index)) != index:
            hint = "remove one of the two"
            check.error(here, f"{quote(each)} is already in {item(path, other)}", hint)


def _pairs(check: Checker, schema: Pairs, value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        check.error(path, f"must be a mapping of text to text, not {typed(value)}")
        return ()
    if len(value) > schema.most:
        check.error(path, f"{len(value)} are too many: at most {schema.most} are allowed")
        return ()
    found = []
    for key, each in value.items():
        here = child(path, key)
        check.flaw(here, schema.keys.flaw(key))
        found.append((schema.keys.make(key), _text(check, schema.values, each, here)))
    return tuple(found)


def _fields(check: Checker, schema: Fields, value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        hint = "write {} for one without fields" if value is None else ""
        check.error(path, f"must be a mapping of fields, not {typed(value)}", hint)
        return None
    before = check.errors
    _check_known(check, schema, value, path)
    given: dict[str, Any] = {}
    for each in schema.fields:
        here = child(path, each.name)
        if each.name in value:
            given[each.into or each.name] = read(check, each.schema, value[each.name], here)
        elif each.required:
            hint = f"for example {each.example}" if each.example else ""
            check.error(here, f"is required: {_first_sentence(each.doc)}", hint)
    if check.errors == before:
        for rule in schema.rules:
            if not rule.holds(value):
                check.error(
                    child(path, rule.field) if rule.field else path, rule.message, rule.hint
                )
    return schema.make(**given) if check.errors == before else None


def _first_sentence(doc: str) -> str:
    return doc[0].lower() + doc[1:].partition(". ")[0].removesuffix(".")


def _check_known(check: Checker, schema: Fields, value: Mapping[str, Any], path: str) -> None:
    known = [each.name for each in schema.fields]
    for key in value:
        if key in known:
            continue
        meant = closest(key, known)
        check.error(
            child(path, key),
            "is not a field that there is here",
            f"did you mean {meant}?" if meant else f"write {alternatives(known)}",
        )


_READERS: dict[type, Callable[[Checker, Any, Any, str], Any]] = {
    Text: _text,
    Choice: _choice,
    Number: _number,
    Flag: _flag,
    Duration: _duration,
    Size: _size,
    Items: _items,
    Pairs: _pairs,
    Fields: _fields,
}
