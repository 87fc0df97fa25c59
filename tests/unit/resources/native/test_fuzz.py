"""Whatever stands in a field gives a problem or a resource that can be declared, never a traceback."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.model.deriving import declare
from outgate.resources.kinds import parse
from outgate.resources.manifests import read

VALID = Path(__file__).parents[3] / "golden/native/valid/input.yaml"
DOCUMENTS = [each.value for each in read(VALID.read_text(), "f").documents]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["*.a.b", "127.1", "5", "1h1h", "(", "(?=a)", "*", "x" * 300, "99999h", "::1/0"]
    )
    | st.sampled_from([-1, 0, 0.5, 2**63, 10**30, "9999Gi", "%s", "/", "a..b", "\u2028", "Ⅷ"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


PLACES = [(each, path) for each in DOCUMENTS for path in places(each["spec"], ("spec",))]


@settings(max_examples=400, deadline=None, database=None, derandomize=True)
@given(st.sampled_from(PLACES), VALUES)
def test_any_one_value_replaced(place: tuple[Any, tuple[Any, ...]], value: Any) -> None:
    document, path = place
    found = read(json.dumps(replaced(document, path, value)), "f")
    resources = parse(found.documents)
    for problem in (*found.problems, *resources.problems):
        assert problem.message
        assert "\n" not in str(problem)
    for each in (*resources.external_services, *resources.egress_policies):
        hash(declare(each, ()).source)
