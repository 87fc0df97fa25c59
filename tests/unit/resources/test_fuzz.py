"""Whatever a user writes gives documents and problems, never a traceback."""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from outgate.resources.kinds import parse
from outgate.resources.manifests import read
from outgate.resources.protocols import protocol_of

FAST = settings(max_examples=150, deadline=None, database=None, derandomize=True)

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "a", "namespace": "b", "labels": {"c": "d"}},
    "spec": {
        "type": "ExternalName",
        "externalName": "httpbin.org",
        "selector": None,
        "ports": [{"port": 80, "name": "http", "protocol": "TCP", "targetPort": "x"}],
    },
}
# Pieces that mean something in YAML, put together in any way.
PIECES = st.one_of(
    st.sampled_from("-:?,[]{}#&*!|>'\"%@`\n\t\r\\ ~=\x00\x85\u2028\udcff\ufeffé"),
    st.sampled_from(["\n", "\n  ", "\n    ", "---", "...", "\r\n", "|\n", ">-\n", "%YAML 1.1\n"]),
    st.sampled_from(["a", "a: ", "b: ", "- ", "? ", "&x ", "*x", "<<: ", "!!str ", "!t ", "80"]),
    st.sampled_from(["kind: List\n", "items:\n", "- kind: Service\n", "apiVersion: v1\n", ".nan"]),
    st.sampled_from(['"\\ud83d"', '{"a": 1}', "metadata:", "yes", "!!int "]),
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["httpbin.org", "127.1", "localhost", "TCP", "x" * 70, "None", ""])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def check(data: bytes | str) -> None:
    found = read(data, "f")
    text = data if isinstance(data, str) else data.decode("latin-1")
    resources = parse(found.documents)
    for problem in found.problems + resources.problems:
        assert 1 <= problem.location.line <= len(text) + 1
        assert problem.message
        assert "\n" not in str(problem)
    for service in resources.services:
        for port in service.ports:
            assert protocol_of(port)


@FAST
@given(st.binary(max_size=200))
@example(b"\xff\xfe\x00\x00")
@example(b"\xfe\xff\xd8")
def test_bytes(data: bytes) -> None:
    check(data)


@FAST
@given(st.text(st.characters(), max_size=200))
@example("\ud800")
def test_text(text: str) -> None:
    check(text)


@settings(FAST, max_examples=500)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_text_like_yaml(text: str) -> None:
    check(text)


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict | list) and value:
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        return [path, *(leaf for key, inner in entries for leaf in _leaves(inner, (*path, key)))]
    return [path]


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copy


@FAST
@given(st.sampled_from(_leaves(SERVICE)), VALUES)
def test_a_service_with_any_one_value_replaced(path: tuple[Any, ...], value: Any) -> None:
    check(json.dumps(_replaced(SERVICE, path, value)))


@FAST
@given(st.lists(PIECES, max_size=20).map("".join))
def test_one_bad_document_never_stops_the_good_ones(text: str) -> None:
    good = json.dumps(SERVICE)
    # A directive belongs to the document that follows, so that a bad one does spoil it.
    text = text.replace("%", "")
    found = read(f"{good}\n---\n{text}\n---\n{good}\n", "f")
    assert found.documents[0].value == SERVICE
    assert found.documents[-1].value == SERVICE
