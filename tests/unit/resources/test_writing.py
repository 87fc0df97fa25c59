import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.resources.manifests import read
from outgate.resources.writing import to_yaml

FAST = settings(max_examples=100, deadline=None, database=None, derandomize=True)
TEXT = st.one_of(
    st.sampled_from(
        ["y", "N", "on", "0o7", "1e3", "~", "", "null", "<<", "=", "1:2", ".5", "0x1F"]
    ),
    st.text(
        st.characters(min_codepoint=32, max_codepoint=0x17F, exclude_characters="\x7f"), max_size=6
    ),
)


@pytest.mark.parametrize("word", ["y", "n", "Yes", "off", "1", "1.0", "null", "~", ""])
def test_text_that_looks_like_something_else_is_quoted(word: str) -> None:
    assert to_yaml({"a": word}) == f"a: '{word}'\n"


@FAST
@given(
    st.dictionaries(
        TEXT.filter(lambda key: key != "<<"),
        TEXT | st.integers(-(2**63), 2**63 - 1) | st.booleans(),
        min_size=1,
    )
)
def test_what_is_written_is_read_as_the_same(value: dict[str, object]) -> None:
    (document,) = read(to_yaml(value), "f").documents
    assert document.value == value


def test_a_value_used_twice_is_no_alias() -> None:
    shared = [1]
    assert to_yaml({"b": shared, "a": shared}) == "b:\n- 1\na:\n- 1\n"
    assert to_yaml({"b": 1, "a": 2}, sort_keys=True) == "a: 2\nb: 1\n"
