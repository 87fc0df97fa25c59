from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.resources.streams import split

FAST = settings(max_examples=200, deadline=None, database=None, derandomize=True)


def parts(text: str) -> list[tuple[str, int]]:
    return [(part.text, part.line) for part in split(text)]


def test_documents_start_at_their_marker() -> None:
    assert parts("a: 1\n---\nb: 2\n--- {c: 3}\n") == [
        ("a: 1\n", 1),
        ("---\nb: 2\n", 2),
        ("--- {c: 3}\n", 4),
    ]


def test_only_a_marker_at_the_start_of_a_line_counts() -> None:
    text = "a: |\n  ---\n  ...\n ---\nb: ---\n---x: y\n"
    assert parts(text) == [(text, 1)]


def test_an_end_marker_ends_a_document_without_a_start_marker() -> None:
    assert parts("a: 1\n... # end\nb: 2\n") == [("a: 1\n... # end\n", 1), ("b: 2\n", 3)]


def test_comments_and_directives_stay_with_the_document_that_follows() -> None:
    text = "# what this is\n%YAML 1.1\n---\na: 1\n"
    assert parts(text) == [(text, 1)]


def test_other_line_breaks() -> None:
    assert parts("a: 1\r\n---\r\nb: 2\r---\rc: 3") == [
        ("a: 1\r\n", 1),
        ("---\r\nb: 2\r", 2),
        ("---\rc: 3", 4),
    ]


def test_files_joined_with_their_byte_order_marks() -> None:
    assert parts("\ufeffa: 1\n\ufeffb: 2\n\ufeff---\nc: 3\n") == [
        ("\ufeffa: 1\n", 1),
        ("\ufeffb: 2\n", 2),
        ("\ufeff---\nc: 3\n", 3),
    ]
    assert len(parts("\ufeff# c\n---\na: 1\n")) == 1
    assert len(parts("\ufeff\ufeff# c\n---\na: 1\n")) == 2


def test_nothing() -> None:
    assert parts("") == []
    assert all(part.empty for part in split("# only\n\n---\n# comments\n...\n--- # x\n...\n...\n"))
    assert not any(part.empty for part in split("a\n--- a\n--- |\n...\n--- #\n x\n---\n...a\n"))


@FAST
@given(st.lists(st.sampled_from(["---", "...", "\n", "\r\n", " ", "a: 1", "#", "%", "\ufeff"])))
def test_the_parts_joined_are_the_text_and_their_lines_are_right(pieces: list[str]) -> None:
    text = "".join(pieces)
    found = split(text)
    assert "".join(part.text for part in found) == text
    begin = 0
    for part in found:
        before = text[:begin].replace("\r\n", "\n")
        assert part.line == before.count("\n") + 1
        begin += len(part.text)
