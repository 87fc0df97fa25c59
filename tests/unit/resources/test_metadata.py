import pytest

from outgate.resources.manifests import read
from outgate.resources.services import parse_service


def parse(text: str) -> list[str]:
    (document,) = read(text, "f.yaml").documents
    return [str(wrong) for wrong in parse_service(document, "default")[1]]


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        ("", "f.yaml:1: error: service: metadata.name: is required"),
        ("metadata: {}", "f.yaml:3: error: service: metadata.name: is required"),
        ('metadata: {name: ""}', "f.yaml:3: error: service: metadata.name: is required"),
        ("metadata: x", "f.yaml:3: error: service: metadata: must be a mapping of fields"),
        ("metadata: {name: 7}", "f.yaml:3: error: service: metadata.name: must be a string"),
        (
            f"metadata: {{name: {'a' * 64}}}",
            f'f.yaml:3: error: service/{"a" * 64}: metadata.name: "{"a" * 64}" is 64 '
            "characters long, at most 63 are allowed",
        ),
        (
            "metadata: {name: s, annotations: {a b: c}}",
            'f.yaml:3: error: service/s: metadata.annotations[a b]: "a b" is not a qualified',
        ),
        (
            "metadata: {name: s, labels: {a: }}",
            "f.yaml:3: error: service/s: metadata.labels.a: must be a string, not null",
        ),
        (
            "metadata: {name: s, labels: [a]}",
            "f.yaml:3: error: service/s: metadata.labels: must be a mapping of fields, not a list",
        ),
        (
            f"metadata: {{name: s, annotations: {{a: {'x' * 262144}}}}}",
            "f.yaml:3: error: service/s: metadata.annotations: the annotations have 262145 "
            "bytes, at most 262144 are allowed",
        ),
        (
            "metadata: {name: s, lables: {a: b}}",
            "f.yaml:3: warning: service/s: metadata.lables: unknown field, it has no effect "
            "(did you mean labels?)",
        ),
    ],
)
def test_problems(metadata: str, problem: str) -> None:
    problems = parse(
        f"apiVersion: v1\nkind: Service\n{metadata}\nspec: {{ports: [{{port: 80}}]}}\n"
    )
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_version_and_spec() -> None:
    problems = parse("apiVersion: v2\nkind: Service\nmetadata: {name: s}\n")
    assert problems == [
        'f.yaml:1: error: service/s: apiVersion: "v2" is not allowed: a Service has v1',
        "f.yaml:1: error: service/s: spec: is required: it has the type and ports of the Service",
    ]
    problems = parse("apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: []\nspce: 1")
    assert problems == [
        "f.yaml:4: error: service/s: spec: must be a mapping of fields, not a list",
        "f.yaml:5: warning: service/s: spce: unknown field, it has no effect (did you mean spec?)",
    ]
