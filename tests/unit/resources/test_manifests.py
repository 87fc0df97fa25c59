import json
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


def test_nothing_at_all() -> None:
    assert read(b"", "-") == Manifests((), ())
