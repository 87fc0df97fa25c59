"""Whatever stands in a field, reading it and relating it to others gives problems, never an exception."""

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from outgate.model.deriving import source_of
from outgate.model.gateway.relations import Relations
from outgate.resources.documents import Document, Lines
from outgate.resources.kinds import parse
from outgate.resources.problems import Location

_GOLDEN = Path(__file__).parents[3] / "golden" / "model"
_ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 3.5, 10**30, "", "x", "*", "a b", "9" * 400, "\u0000"),
    *([], {}, [None], [1], [[]], {"a": 1}, [{"a": {}}], {"name": 1}),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from places(inner, (*path, key))


def spoilt(document: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    made = copy.deepcopy(document)
    *way, last = chance.choice(list(places(made)))
    inner: Any = made
    for step in way:
        inner = inner[step]
    inner[last] = copy.deepcopy(chance.choice(_ODD))
    return made


@pytest.mark.parametrize("case", sorted(_GOLDEN.glob("gateway-*")), ids=lambda path: path.name)
def test_odd_values(case: Path) -> None:
    documents = list(yaml.safe_load_all((case / "input.yaml").read_text()))
    chance = random.Random(7)  # noqa: S311 - an order, not a secret
    for _ in range(400):
        document = spoilt(chance.choice(documents), chance)
        others = [each for each in documents if each["metadata"] != document.get("metadata")]
        read = [Document(each, Location(), Lines(1, {})) for each in (document, *others)]
        relations = Relations()
        relations.update((source_of(each), each) for each in parse(read).every())
