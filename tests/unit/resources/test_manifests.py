import json
import time
from textwrap import dedent
from typing import Any

import pytest

from outgate.resources.manifests import Document, Manifests, read
from outgate.resources.problems import Location


def documents(text: str | bytes) -> list[Any]:
    found = read(text, "f.yaml")
    assert found.problems == ()
    return [document.value for document in found.documents]


def only(text: str) -> Document:
    (document,) = read(dedent(text), "f.yaml").documents
    return document


def problem(text: str | bytes) -> str:
    found = read(text, "f.yaml")
    assert found.documents == ()
    (only_problem,) = found.problems
    return str(only_problem)


class TestDocuments:
    def test_yaml_and_json_mixed(self) -> None:
        assert documents('a: 1\n---\n{"b": 2}\n---\n\n{"c": [3, null]}\n') == [
            {"a": 1},
            {"b": 2},
            {"c": [3, None]},
        ]

    def test_empty_and_comment_only_documents_are_left_out(self) -> None:
        assert documents("") == []
        assert documents("# none\n") == []
        assert documents("---\n---\n# none\n---\na: 1\n---\n\n...\n...\n---\nnull\n") == [{"a": 1}]

    def test_markers_inside_a_block_scalar_are_text(self) -> None:
        assert documents("a: |\n  ---\n  ...\nb: 1\n") == [{"a": "---\n...\n", "b": 1}]

    def test_end_markers_directives_and_content_beside_a_marker(self) -> None:
        text = "%YAML 1.1\n--- {a: 1}\n...\n%YAML 1.2\n---\nb: 2\n... # end\nc: 3\n"
        assert documents(text) == [{"a": 1}, {"b": 2}, {"c": 3}]

    @pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
    def test_line_breaks(self, line_break: str) -> None:
        found = read(line_break.join(["a: 1", "---", "b:", "  c: 2", ""]), "f")
        assert [document.value for document in found.documents] == [{"a": 1}, {"b": {"c": 2}}]
        assert found.documents[1].location_of("b.c").line == 4

    def test_byte_order_marks(self) -> None:
        assert documents(b"\xef\xbb\xbfa: 1\n") == [{"a": 1}]
        assert documents("\ufeffa: 1\n\ufeff---\nb: 2\n") == [{"a": 1}, {"b": 2}]
        assert documents("a: ü\n".encode("utf-16")) == [{"a": "ü"}]

    def test_tabs_where_yaml_allows_them(self) -> None:
        assert documents('{\n\t"a":\t1\n}\n') == [{"a": 1}]
        assert documents("a:\t1\t# tab\n") == [{"a": 1}]

    def test_aliases_and_merged_fields(self) -> None:
        text = "base: &b {x: 1, z: [2]}\nagain: *b\nmerged:\n  z: 3\n  <<: *b\n"
        (value,) = documents(text)
        assert value == {
            "base": {"x": 1, "z": [2]},
            "again": {"x": 1, "z": [2]},
            "merged": {"x": 1, "z": 3},
        }
        # A YAML writer would show a shared value as an alias.
        assert value["again"]["z"] is not value["base"]["z"]

    def test_of_several_merged_mappings_the_first_counts(self) -> None:
        text = "a: &a {x: 1}\nb: &b {x: 2, z: 3}\nc: {<<: [*a, *b]}\n"
        assert documents(text)[0]["c"] == {"x": 1, "z": 3}

    def test_json_says_the_same_as_to_a_json_parser(self) -> None:
        text = '{"a": "\\ud83d\\ude00 \\/ \\\\ud83d", "b": "x\u2028y", "c": "yes", "d": 1.50}'
        assert documents(text) == [json.loads(text)]

    def test_json_objects_one_after_the_other(self) -> None:
        found = read('{"a": 1}\n{"b": 2} {\n"c": 3}\n', "f")
        assert [document.value for document in found.documents] == [{"a": 1}, {"b": 2}, {"c": 3}]
        assert [document.location.line for document in found.documents] == [1, 2, 2]
        assert found.documents[2].location_of("c").line == 3


class TestLines:
    TEXT = """\
        # comment
        kind: Service
        metadata:
          labels:
            example.com/app: x
            plain: y
        spec:
          ports:
          - port: 80
            name: http
          -
            port: 443
        """

    @pytest.mark.parametrize(
        ("path", "line"),
        [
            ("", 2),
            ("kind", 2),
            ("metadata.labels", 4),
            ("metadata.labels[example.com/app]", 5),
            ("metadata.labels.plain", 6),
            ("spec.ports", 8),
            ("spec.ports[0]", 9),
            ("spec.ports[0].name", 10),
            ("spec.ports[1].port", 12),
        ],
    )
    def test_every_field_has_its_line(self, path: str, line: int) -> None:
        assert only(self.TEXT).location_of(path) == Location("f.yaml", line)

    @pytest.mark.parametrize(
        ("path", "line"),
        [("spec.externalName", 7), ("spec.ports[1].name", 12), ("spec.ports[7].x", 8), ("x.y", 2)],
    )
    def test_a_missing_field_has_the_line_of_the_nearest_above_it(
        self, path: str, line: int
    ) -> None:
        assert only(self.TEXT).location_of(path).line == line

    def test_what_an_alias_or_merge_brings_is_where_it_is_named(self) -> None:
        document = only("a: &a\n  x: 1\nb: *a\nc:\n  <<: *a\n")
        assert document.location_of("b.x").line == 3
        assert document.location_of("c.x").line == 5

    def test_lines_count_from_the_start_of_the_file(self) -> None:
        found = read("a: 1\n---\n\n# c\n---\nb: 2\n", "f")
        assert [document.location.line for document in found.documents] == [1, 6]


class TestLists:
    def test_items_are_documents_with_their_own_lines(self) -> None:
        text = """\
            apiVersion: v1
            kind: List
            items:
            - kind: A
              spec:
                x: 1
            - {kind: B}
            - kind: List
              items:
              - kind: C
            """
        found = read(dedent(text), "f.yaml")
        assert [document.value["kind"] for document in found.documents] == ["A", "B", "C"]
        assert [document.location.line for document in found.documents] == [4, 7, 10]
        assert found.documents[0].location_of("spec.x").line == 6

    def test_items_of_a_typed_list_get_its_kind(self) -> None:
        text = "apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: a}\n- kind: Other\n"
        assert documents(text) == [
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}},
            {"kind": "Other"},
        ]

    @pytest.mark.parametrize("items", ["", "items:\n", "items: []\n"])
    def test_an_empty_list_is_nothing(self, items: str) -> None:
        assert documents(f"kind: List\n{items}") == []

    def test_a_kind_that_only_ends_in_list_is_a_document(self) -> None:
        text = "kind: AllowList\nspec: {items: [1]}\n"
        assert documents(text) == [{"kind": "AllowList", "spec": {"items": [1]}}]

    def test_wrong_items_do_not_stop_the_others(self) -> None:
        found = read("kind: List\nitems:\n- 7\n- kind: A\n- [x]\n", "f.yaml")
        assert [document.value for document in found.documents] == [{"kind": "A"}]
        assert [str(wrong) for wrong in found.problems] == [
            "f.yaml:3: error: items[0]: must be a mapping, not the number 7",
            "f.yaml:5: error: items[2]: must be a mapping, not a list",
        ]
        assert problem("kind: List\nitems: {}\n") == (
            "f.yaml:2: error: items: must be a list, not a mapping"
        )


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


class TestRefusals:
    @pytest.mark.parametrize(("text", "message"), BAD.items())
    def test_messages(self, text: str, message: str) -> None:
        assert problem(text) == message

    @pytest.mark.parametrize("text", BAD)
    def test_one_bad_document_never_stops_the_good_ones(self, text: str) -> None:
        found = read(f"---\nfirst: 1\n...\n{text}\n---\nlast: 2\n", "f")
        assert [document.value for document in found.documents] == [{"first": 1}, {"last": 2}]
        assert len(found.problems) == 1

    def test_bytes_that_are_not_utf8_refuse_their_document_only(self) -> None:
        found = read(b"a: 1\n---\n\nb: \xff\n---\nc: 3\n", "f.yaml")
        assert [document.value for document in found.documents] == [{"a": 1}, {"c": 3}]
        assert [str(wrong) for wrong in found.problems] == [
            "f.yaml:4: error: not UTF-8: byte 0xff (save the file as UTF-8)"
        ]

    def test_over_1_mib(self) -> None:
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
    def test_what_explodes_is_refused_fast(self, text: str) -> None:
        begin = time.process_time()
        found = read(text, "f")
        assert time.process_time() - begin < 5
        assert found.documents == ()

    def test_depth(self) -> None:
        assert len(documents("a: " + "[" * 98 + "]" * 98)) == 1
        assert "100 levels" in problem("a: " + "[" * 100 + "]" * 100)
        assert "100 levels" in problem(f"a: &a {'[' * 60}{']' * 60}\nb: {'[' * 60}*a{']' * 60}\n")

    def test_messages_cannot_drive_a_terminal(self) -> None:
        message = problem('"\\e[31m": 1\n"\\e[31m": 2\n')
        assert message.isprintable()
        assert '"\\u001b[31m"' in message


def test_nothing_at_all() -> None:
    assert read(b"", "-") == Manifests((), ())
