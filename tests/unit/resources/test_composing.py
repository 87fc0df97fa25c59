"""What is refused, and what the user is told."""

import time
from typing import Any

import pytest

from outgate.resources.manifests import read


def documents(text: str) -> list[Any]:
    found = read(text, "f.yaml")
    assert found.problems == ()
    return [document.value for document in found.documents]


def problem(text: str) -> str:
    found = read(text, "f.yaml")
    assert found.documents == ()
    (only_problem,) = found.problems
    return str(only_problem)


BAD = {
    "a: b: c\n": (
        "f.yaml:1: error: not valid YAML: mapping values are not allowed in this context "
        '(check the indentation; quote a value that contains ": ")'
    ),
    "a:\n\tb: 1\n": (
        "f.yaml:2: error: not valid YAML: while scanning for the next token, found character "
        "that cannot start any token "
        "(indent with spaces, not tabs; quote a value that starts with @, % or `)"
    ),
    "a: [1\n": (
        "f.yaml:2: error: not valid YAML: while parsing a flow sequence, "
        "did not find expected ',' or ']'"
    ),
    "%YAML 1.1\na: 1\n": (
        "f.yaml:2: error: not valid YAML: did not find expected <document start>"
    ),
    "a: 1\nb: 2\na: 3\n": (
        'f.yaml:3: error: the field "a" is already set on line 1 (remove one of the two)'
    ),
    '{"a": {"b": 1,\n"b": 2}}': (
        'f.yaml:2: error: the field "b" is already set on line 1 (remove one of the two)'
    ),
    "a: {80: x}\n": (
        "f.yaml:1: error: a field's name must be a string, not the number 80 "
        '(write it in quotes: "80")'
    ),
    "on: x\n": (
        "f.yaml:1: error: a field's name must be a string, not the boolean true "
        '(write it in quotes: "on")'
    ),
    "? [a]\n: b\n": "f.yaml:1: error: a field's name must be a string, not a mapping or list",
    "a: !!python/object:os.system x\n": (
        "f.yaml:1: error: the tag tag:yaml.org,2002:python/object:os.system is not allowed "
        "(write text in quotes)"
    ),
    "a: !!set {b}\n": (
        "f.yaml:1: error: the tag tag:yaml.org,2002:set is not allowed (remove the tag)"
    ),
    "a: .nan\n": ("f.yaml:1: error: .nan cannot be represented in JSON (write text in quotes)"),
    "a: &x [*x]\n": "f.yaml:1: error: the alias *x stands inside what it names",
    "a: *x\n": "f.yaml:1: error: the alias *x names no anchor above it",
    "a: {<<: 1}\n": ('f.yaml:1: error: the value of "<<" must be a mapping or a list of mappings'),
    "a: \x07\n": "f.yaml:1: error: not valid YAML: the character U+0007 is not allowed",
    "just text\n": (
        'f.yaml:1: error: a document must be a mapping of fields, not the string "just text" '
        "(a resource starts with apiVersion, kind and metadata)"
    ),
    "\n- kind: Service\n": (
        "f.yaml:2: error: a document must be a mapping of fields, not a list "
        "(a resource starts with apiVersion, kind and metadata)"
    ),
    "42\n": (
        "f.yaml:1: error: a document must be a mapping of fields, not the number 42 "
        "(a resource starts with apiVersion, kind and metadata)"
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD.items())
def test_messages(text: str, message: str) -> None:
    assert problem(text) == message


@pytest.mark.parametrize("text", BAD)
def test_one_bad_document_never_stops_the_good_ones(text: str) -> None:
    found = read(f"---\nfirst: 1\n...\n{text}\n---\nlast: 2\n", "f")
    assert [document.value for document in found.documents] == [{"first": 1}, {"last": 2}]
    assert len(found.problems) == 1


def test_bytes_that_are_not_utf8_refuse_their_document_only() -> None:
    found = read(b"a: 1\n---\n\nb: \xff\n---\nc: 3\n", "f.yaml")
    assert [document.value for document in found.documents] == [{"a": 1}, {"c": 3}]
    assert [str(wrong) for wrong in found.problems] == [
        "f.yaml:4: error: not UTF-8: byte 0xff (save the file as UTF-8)"
    ]


def test_over_1_mib() -> None:
    limit = 1024 * 1024
    assert len(documents("a: " + "x" * (limit - 4) + "\n")) == 1
    found = read("b: 1\n---\na: " + "x" * limit, "f.yaml")
    assert len(found.documents) == 1
    assert str(found.problems[0]) == (
        "f.yaml:2: error: the document has 1048583 bytes, more than the 1048576 (1 MiB) "
        'allowed (split it with "---")'
    )
    assert "1 MiB" in problem("a: " + "ü" * (limit // 2))


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)),
        "a0: &a0 {x: 1}\n"
        + "".join(
            f"a{i}: &a{i} {{p: *a{i - 1}, q: *a{i - 1}, <<: *a{i - 1}}}\n" for i in range(1, 40)
        ),
        "a: &a {" + ",".join(f"k{i}: 1" for i in range(5000)) + "}\n"
        "b: [" + "{<<: *a}," * 1000 + "]\n",
        "[" * 500_000,
        '{"a":' * 100_000,
        "- " * 500_000,
        "? " * 500_000,
        "a: &a [" * 60_000,
        "- a\n" * 250_000,
        "#" * 1_000_000 + "{",
        "a: " + "9" * 1_000_000,
    ],
    ids=lambda text: text[:10],
)
def test_what_explodes_is_refused_fast(text: str) -> None:
    begin = time.process_time()
    found = read(text, "f")
    assert time.process_time() - begin < 5
    assert found.documents == ()


def test_depth() -> None:
    assert len(documents("a: " + "[" * 98 + "]" * 98)) == 1
    assert "100 levels" in problem("a: " + "[" * 100 + "]" * 100)
    assert "100 levels" in problem(f"a: &a {'[' * 60}{']' * 60}\nb: {'[' * 60}*a{']' * 60}\n")


def test_messages_cannot_drive_a_terminal() -> None:
    message = problem('"\\e[31m": 1\n"\\e[31m": 2\n')
    assert message.isprintable()
    assert '"\\u001b[31m"' in message
