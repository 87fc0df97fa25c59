"""Whatever stands in a field, the answer is a resource or a problem, never an exception."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.model.converting import convert
from outgate.model.deriving import declare
from outgate.resources.documents import Document, Lines
from outgate.resources.istio.fields import ANY, Fields
from outgate.resources.istio.tables import TABLES
from outgate.resources.kinds import parse
from outgate.resources.problems import Location

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(("a.example.com", "*.example.com", "1.5s", "100%", "192.0.2.0/24", "::1")),
    st.sampled_from(("mesh", "HTTP", "DNS", "STATIC", "MUTUAL", "SIMPLE", "503", "(a|b)*", "*/*")),
)
WRONG = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=2),
    st.dictionaries(st.text(max_size=5), SCALARS, max_size=2),
)


def values(fields: Fields) -> st.SearchStrategy[Any]:
    """Values with fields that there are, and anything in them."""
    known = {key: below(state) for key, state in fields.items() if key != ANY}
    if ANY in fields:
        inner = st.dictionaries(st.text(max_size=8), below(fields[ANY]), max_size=2)
        return st.one_of(inner, WRONG)
    return st.fixed_dictionaries({}, optional=known)


def below(state: Any) -> st.SearchStrategy[Any]:
    if not isinstance(state, Mapping):
        return WRONG
    inner = values(state)
    return st.one_of(inner, st.lists(inner, max_size=2), WRONG)


SPECS = {kind: values(fields) for kind, fields in TABLES.items()}


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(sorted(TABLES)))
def test_anything_is_read_or_refused(data: st.DataObject, kind: str) -> None:
    value = {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": "it"},
        "spec": data.draw(SPECS[kind]),
    }
    resources = parse((Document(value, Location(), Lines(1, {})),))
    for each in resources.every():
        declare(each)
    convert(resources)
    assert list(resources.every()) or resources.problems
