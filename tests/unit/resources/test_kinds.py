from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.resources.kinds import Resources, parse
from outgate.resources.manifests import read

FAST = settings(max_examples=50, deadline=None, database=None, derandomize=True)


def service(name: str, *, namespace: str = "", port: str = "80") -> str:
    return (
        "apiVersion: v1\nkind: Service\n"
        f"metadata: {{name: {name}, namespace: {namespace!r}}}\n"
        f"spec: {{type: ExternalName, externalName: {name}.example, ports: [{{port: {port}}}]}}\n"
    )


def resources(*documents: str) -> Resources:
    found = read("---\n".join(documents), "f.yaml")
    assert found.problems == ()
    return parse(found.documents)


def messages(found: Resources) -> list[str]:
    return [str(problem) for problem in found.problems]


def names(found: Resources) -> list[tuple[str, str]]:
    return [(each.metadata.namespace, each.metadata.name) for each in found.services]


def test_services_are_orderedby_namespace_and_name() -> None:
    found = resources(service("b"), service("c", namespace="a"), service("a"))
    assert names(found) == [("a", "c"), ("default", "a"), ("default", "b")]
    assert found.problems == ()


def test_the_default_namespace_can_be_another() -> None:
    documents = read(service("a"), "f").documents
    assert names(parse(documents, "prod")) == [("prod", "a")]


def test_one_bad_resource_never_stops_the_good_ones() -> None:
    found = resources(service("a"), service("b", port="0"), service("c"))
    assert names(found) == [("default", "a"), ("default", "c")]
    assert messages(found) == [
        "f.yaml:9: error: service/b: spec.ports[0].port: 0 is out of range: "
        "a port is a whole number from 1 to 65535"
    ]


def test_the_first_of_two_with_one_name_counts() -> None:
    found = resources(
        service("a", port="1"),
        service("a", namespace="default", port="2"),
        service("a", namespace="other", port="3"),
    )
    assert [each.ports[0].port for each in found.services] == [1, 3]
    assert messages(found) == [
        "f.yaml:8: error: service/a: metadata.name: a Service of this name and namespace is "
        "already at f.yaml:1 (remove one of the two, or rename it)"
    ]


def test_an_invalid_first_one_counts_too() -> None:
    found = resources(service("a", port="0"), service("a"))
    assert found.services == ()
    assert len(found.problems) == 2


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: sleep}\n",
            "f.yaml:2: warning: deployment/sleep: kind: Outgate does not run a Deployment on one "
            "machine (run its command with: outgate run -- COMMAND)",
        ),
        (
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: sleep}\n",
            'f.yaml:2: warning: serviceaccount/sleep: kind: "ServiceAccount" of v1 is not a kind '
            "that Outgate uses: ignored",
        ),
        (
            "apiVersion: example.com/v1\nkind: Widget\n",
            'f.yaml:2: warning: widget: kind: "Widget" of example.com is not a kind that Outgate '
            "uses: ignored",
        ),
        (
            "apiVersion: v1\nkind: service\n",
            'f.yaml:2: warning: service: kind: "service" of v1 is not a kind that Outgate uses: '
            "ignored (did you mean Service of v1?)",
        ),
        (
            "apiVersion: outgate.dev/v1alpha1\nkind: EgressPolicies\n",
            'f.yaml:2: error: egresspolicies: kind: "EgressPolicies" of outgate.dev is not a kind '
            "that Outgate uses (did you mean EgressPolicy of outgate.dev/v1alpha1?)",
        ),
        (
            "apiVersion: apps/v1\nkind: Service\n",
            'f.yaml:2: warning: service: kind: "Service" of apps is not a kind that Outgate uses: '
            "ignored (did you mean Service of v1?)",
        ),
    ],
)
def test_unknown_kinds_are_never_dropped_silently(document: str, message: str) -> None:
    found = resources(document, service("a"))
    assert messages(found) == [message]
    assert [each.location.line for each in found.unknown] == [1]
    assert names(found) == [("default", "a")]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            "metadata: {name: a}\n",
            [
                "f.yaml:1: error: a: apiVersion: is required (for example apiVersion: v1)",
                "f.yaml:1: error: a: kind: is required (for example kind: Service)",
            ],
        ),
        (
            "apiVersion: 1\nkind: [x]\n",
            [
                "f.yaml:1: error: apiVersion: must be a string, not the number 1 "
                "(for example apiVersion: v1)",
                "f.yaml:2: error: kind: must be a string, not a list (for example kind: Service)",
            ],
        ),
        (
            "apiVersion: a/b/c\nkind: X\n",
            [
                'f.yaml:1: error: x: apiVersion: "a/b/c" is not an API version: '
                "write VERSION or GROUP/VERSION"
            ],
        ),
    ],
)
def test_what_every_resource_has(document: str, expected: list[str]) -> None:
    assert messages(resources(document)) == expected


@FAST
@given(st.permutations(range(5)))
def test_the_order_of_documents_does_not_matter(order: list[int]) -> None:
    texts = [
        service("a"),
        service("b", port="0"),
        service("c", namespace="x"),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
        "kind: Nothing\n",
    ]
    documents = read("---\n".join(texts), "f").documents
    mixed, ordered = parse([documents[index] for index in order]), parse(documents)
    assert [each for each in documents if each in mixed.accepted] == list(ordered.accepted)
    assert replace(mixed, accepted=()) == replace(ordered, accepted=())
