"""Lays the same manifests, rendered with different flags, over each other: what differs stands under a condition."""

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from outgate.kube.helm.values import Choice, Conditions, Value

Among = frozenset[int]
"""Which of all choices are meant, by number."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is there under a condition; an empty one always holds. `key` is None in a list."""

    condition: str
    key: Any
    node: Any


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of several: the first whose condition holds, and else the last."""

    parts: tuple[Part, ...]


class Merge:
    """Merges variants, each of which was rendered with one of the choices."""

    def __init__(self, values: Sequence[Value], choices: Sequence[Choice]) -> None:
        """Take what the variants were rendered with."""
        self._values, self._choices = values, choices
        self._conditions = Conditions(values, choices)

    def merged(self, variants: Mapping[int, Any]) -> Any:
        """Return one tree of Fields, Items, Either and scalars; `variants` are by the number of their choice."""
        first, *others = variants.values()
        if all(type(each) is type(first) and each == first for each in others):
            return _always(first)
        kinds = {type(each) for each in variants.values()}
        # What may be empty is written on its own, as a condition may not leave nothing behind a key.
        if kinds == {dict} and len({bool(each) for each in variants.values()}) == 1:
            keys = dict.fromkeys(key for each in variants.values() for key in each)
            return Fields(self._parts(variants, list(keys), dict))
        if kinds == {list} and len({bool(each) for each in variants.values()}) == 1:
            keyed = {c: _by_identity(each) for c, each in variants.items()}
            if (order := _ordered(keyed.values())) is None:
                return self._either(variants, _text)
            return Items(self._parts(keyed, order, list))
        if (text := self._substituted(variants)) is not None:
            return text
        return self._either(variants, _shape)

    def _parts(
        self, variants: Mapping[int, Mapping[Any, Any]], keys: Iterable[Any], kind: type
    ) -> tuple[Part, ...]:
        among, found = frozenset(variants), list[Part]()
        for key in keys:
            having = {c: each[key] for c, each in variants.items() if key in each}
            condition = self._conditions.text(frozenset(having), among)
            found.append(Part(condition, key if kind is dict else None, self.merged(having)))
        return tuple(found)

    def _substituted(self, variants: Mapping[int, Any]) -> Any:
        """Return the scalar of the last variant, if the others are that with other samples in it."""
        last = max(variants)
        model = variants[last]
        if not isinstance(model, str):
            return None
        for number, each in variants.items():
            text = model
            for value, old, new in zip(
                self._values, self._choices[last], self._choices[number], strict=True
            ):
                if value.token and old == value.samples[-1]:
                    text = text.replace(value.token, str(new))
            if text != each:
                return None
        for value, sample in zip(self._values, self._choices[last], strict=True):
            if value.token and sample == value.samples[-1]:
                model = model.replace(value.token, value.marker)
        return model

    def _either(self, variants: Mapping[int, Any], kind: Callable[[Any], str]) -> Either:
        groups: dict[str, dict[int, Any]] = {}
        for number, each in variants.items():
            groups.setdefault(kind(each), {})[number] = each
        among, parts = frozenset(variants), list[Part]()
        # What is there stands before what stands in for it.
        for group in sorted(groups.values(), key=lambda each: -max(each)):
            condition = self._conditions.text(frozenset(group), among)
            parts.append(Part(condition, None, self.merged(group)))
        return Either(tuple(parts))


def _always(value: Any) -> Any:
    if isinstance(value, dict):
        return Fields(tuple(Part("", key, _always(each)) for key, each in value.items()))
    if isinstance(value, list):
        return Items(tuple(Part("", None, _always(each)) for each in value))
    return value


def _shape(value: Any) -> str:
    return type(value).__name__ if isinstance(value, dict | list) and value else _text(value)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _by_identity(items: Sequence[Any]) -> dict[Any, Any]:
    """Return a list's elements by what makes each of them the same as one elsewhere."""
    found: dict[Any, Any] = {}
    for each in items:
        identity, count = _identity(each), 0
        while (identity, count) in found:
            count += 1
        found[identity, count] = each
    return found


def _identity(item: Any) -> str:
    if isinstance(item, dict):
        metadata = item.get("metadata") or {}
        if "kind" in item and "name" in metadata:
            return _text([item["kind"], metadata.get("namespace"), metadata["name"]])
        if "name" in item:
            return _text(item["name"])
    if isinstance(item, str) and item.startswith("--") and "=" in item:
        return item.partition("=")[0]
    return _text(item)


def _ordered(lists: Iterable[Mapping[Any, Any]]) -> list[Any] | None:
    """Return the keys of all in an order that is that of each; None if there is no such order."""
    graph: TopologicalSorter[Any] = TopologicalSorter()
    for keys in {tuple(each): None for each in lists}:
        for before, key in itertools.pairwise((None, *keys)):
            graph.add(key, before)
    try:
        return [each for each in graph.static_order() if each is not None]
    except CycleError:
        return None
