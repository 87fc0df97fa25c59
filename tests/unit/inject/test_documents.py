"""Streams: what is refused, and that nothing but capture changes."""

import json
import textwrap

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.errors import InvalidError
from outgate.inject.documents import inject, joined
from outgate.inject.options import Options
from outgate.resources.manifests import read

POD = textwrap.dedent("""\
    apiVersion: v1
    kind: Pod
    metadata:
      name: hello
    spec:
      containers:
      - name: hello
    """)


def test_every_document_that_does_not_parse_is_reported_with_its_line() -> None:
    text = f"a: 1\n---\nb: [\n---\n{POD}---\nc: 1\nc: 2\n"
    with pytest.raises(InvalidError) as caught:
        inject(text, "f.yaml", Options())
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == ["f.yaml:4", "f.yaml:14"]


def test_broken_json_is_reported_with_its_line() -> None:
    with pytest.raises(InvalidError, match=r"^f.json:3: error"):
        inject('{"a": 1}\n\n{"a": 1, "a": 2}\n', "f.json", Options())


def test_workload_without_a_template_is_an_error() -> None:
    text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {}\n"
    with pytest.raises(InvalidError, match=r"^-:4: error: deployment/x: spec\.template: "):
        inject(text, "-", Options())


def test_windows_line_breaks_stay() -> None:
    text = ("# first\n---\n" + POD).replace("\n", "\r\n")
    done = inject(text, "-", Options()).text
    assert done.startswith("# first\r\n---\r\napiVersion: v1\r\n")
    assert done.count("\n") == done.count("\r\n")


def test_bytes_that_are_not_utf8_are_refused() -> None:
    text = b"# caf\xe9\n---\na: 1\n".decode("utf-8", errors="surrogateescape")
    with pytest.raises(InvalidError, match="not UTF-8"):
        inject("a: 1 # x\n---\n" + text.replace("# ", "a: "), "-", Options())


def test_document_end_and_comments_stay_around_a_changed_document() -> None:
    done = inject(f"--- {{}}\n--- # one\n# two\n{POD}# three\n...\n# four\n", "-", Options()).text
    assert done.startswith("--- {}\n--- # one\n# two\napiVersion: v1\n")
    assert done.endswith("# three\n...\n# four\n")
    assert not read(done, "-").problems


def test_document_on_the_line_of_its_marker() -> None:
    text = "--- {apiVersion: v1, kind: Pod, spec: {containers: [{name: a}]}}\n"
    assert inject(text, "-", Options()).text.startswith("---\napiVersion: v1\nkind: Pod\n")


def test_compact_json_stays_compact() -> None:
    text = '{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a"}]}}\n'
    done = inject(text, "-", Options()).text
    assert done.count("\n") == 1
    assert done == json.dumps(json.loads(done), separators=(",", ":")) + "\n"


def test_json_after_yaml_stays_json() -> None:
    text = '{"apiVersion": "v1", "kind": "Pod", "spec": {"containers": []}}'
    done = inject(f"a: 1\n---\n# json\n{text}\n---\nb: 1\n", "-", Options()).text
    assert done.startswith('a: 1\n---\n# json\n{"apiVersion": "v1"')
    assert done.endswith("}\n---\nb: 1\n")


def test_empty_lists_stay() -> None:
    for text in ("kind: List\n", "kind: List\nitems:\n", "kind: List\nitems: []\n", "", "# x"):
        assert inject(text, "-", Options()).text == text
    nested = "kind: List\nitems:\n- kind: List\n  items:\n- " + POD.replace("\n", "\n  ")
    items = yaml.safe_load(inject(nested, "-", Options()).text)["items"]
    assert items[0] == {"kind": "List", "items": None}
    assert "initContainers" in items[1]["spec"]


def test_files_are_joined_as_a_stream() -> None:
    assert joined(["a: 1", "---\nb: 1\n", "", "c: 1\n"]) == "a: 1\n---\nb: 1\n---\nc: 1\n"


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")))
# Words, numbers and signs that mean something to some YAML reader.
TRICKY = st.text(st.sampled_from("0123456789abefoxyEnNuUlLrst._-+:~#'\"|>%@`&*!?,[]{} \n\t"))
# libyaml reads keys of up to 1024 characters, escaped as they are in JSON; Kubernetes has none of more than 317.
KEYS = (TEXT | TRICKY).filter(lambda key: len(json.dumps(key)) < 1000)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT | TRICKY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.booleans())
def test_values_survive(value: object, as_json: bool) -> None:
    """What kubectl reads in the result is what it read before, whatever the value is."""
    pod = yaml.safe_load(POD)
    pod["spec"]["x"] = value
    done = inject(json.dumps(pod) if as_json else json.dumps(pod, indent=1) + "\n", "-", Options())
    text = done.text if as_json else inject_as_yaml(pod)
    found = read(text, "-")
    assert not found.problems
    assert found.documents[0].value["spec"]["x"] == value
    assert "initContainers" in found.documents[0].value["spec"]


def inject_as_yaml(value: object) -> str:
    """The same document, with every text in quotes before capture is added."""
    quoted = yaml.safe_dump(value, default_style='"', allow_unicode=True)
    return inject(quoted, "-", Options()).text
