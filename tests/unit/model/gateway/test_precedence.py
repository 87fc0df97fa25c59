"""The specification's order, against a judge that compares two matches word by word as the specification does."""

from functools import cmp_to_key

from hypothesis import given
from hypothesis import strategies as st

from outgate.model.gateway.precedence import rank
from outgate.resources.gateway.httproutes import HTTPRoute
from outgate.resources.metadata import ObjectMeta
from outgate.traffic.routing import Comparison, Field, Match, Text

_ONE = Text(Comparison.EXACT, "1")


def _fields(prefix: str) -> st.SearchStrategy[tuple[Field, ...]]:
    return st.integers(0, 3).map(lambda n: tuple(Field(f"{prefix}{i}", _ONE) for i in range(n)))


matches = st.builds(
    Match,
    path=st.none()
    | st.builds(
        Text,
        st.sampled_from((Comparison.EXACT, Comparison.PATH_PREFIX)),
        st.sampled_from(("/", "/a", "/a/b", "/ccccc")),
    ),
    methods=st.sampled_from(((), ("GET",))),
    headers=_fields("h"),
    query=_fields("q"),
)
routes = st.builds(
    lambda name, space, created: HTTPRoute(
        ObjectMeta(space, name, {}, {}, creation_timestamp=created), (), (), ()
    ),
    st.sampled_from(("a", "b")),
    st.sampled_from(("x", "y")),
    st.sampled_from(("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")),
)
Candidate = tuple[HTTPRoute, Match, int, int]
candidates = st.tuples(routes, matches, st.integers(0, 2), st.integers(0, 2))


def _judge(one: Candidate, other: Candidate) -> int:
    """Say which of two counts, -1 for the first: by one rule of the specification after the other."""
    (left, a, *_), (right, b, *_) = one, other
    exact = [m.path is not None and m.path.comparison is Comparison.EXACT for m in (a, b)]
    if exact[0] != exact[1]:
        return -1 if exact[0] else 1
    lengths = [len(m.path.value) if m.path else 1 for m in (a, b)]
    counts = [
        lengths,
        [len(a.methods), len(b.methods)],
        [len(a.headers), len(b.headers)],
        [len(a.query), len(b.query)],
    ]
    for first, second in counts:
        if first != second:
            return -1 if first > second else 1
    orders = [
        (each.metadata.creation_timestamp, f"{each.metadata.namespace}/{each.metadata.name}")
        for each in (left, right)
    ]
    keys = [(*order, *each[2:]) for order, each in zip(orders, (one, other), strict=True)]
    return (keys[0] > keys[1]) - (keys[0] < keys[1])


@given(st.lists(candidates, max_size=12))
def test_the_order_is_that_of_the_specification(found: list[Candidate]) -> None:
    ranked = sorted(found, key=lambda each: rank(*each))
    assert [rank(*each) for each in ranked] == [
        rank(*each) for each in sorted(found, key=cmp_to_key(_judge))
    ]
