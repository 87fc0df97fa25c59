from textwrap import indent
from typing import Any

import pytest

from outgate.resources.manifests import read
from outgate.resources.services import parse_service


def problems_of(spec: str) -> list[str]:
    """Problems of a Service with `spec`, without the part that is the same in all."""
    start = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n"
    (document,) = read(start + indent(spec, "  "), "f.yaml").documents
    _, problems = parse_service(document, "default")
    return [str(wrong).replace("service/s: spec.", "") for wrong in problems]


@pytest.mark.parametrize(
    ("port", "problem"),
    [
        ("{port: 0}", "f.yaml:5: error: ports[0].port: 0 is out of range"),
        ("{port: -1}", "f.yaml:5: error: ports[0].port: -1 is out of range"),
        ("{port: true}", "f.yaml:5: error: ports[0].port: must be a whole number, not the boolean"),
        ("{port: http}", "f.yaml:5: error: ports[0].port: must be a whole number, not the string"),
        ("{port: 80.5}", "f.yaml:5: error: ports[0].port: must be a whole number, not the number"),
        ("{port: }", "f.yaml:5: error: ports[0].port: is required"),
        ("{port: 1, name: HTTP}", 'f.yaml:5: error: ports[0].name: "HTTP" is not a DNS label'),
        ("{port: 1, name: 80}", "f.yaml:5: error: ports[0].name: must be a string"),
        (
            f"{{port: 1, name: {'a' * 64}}}",
            f'f.yaml:5: error: ports[0].name: "{"a" * 64}" is 64 characters long',
        ),
        (
            '{port: 1, targetPort: "80"}',
            'f.yaml:5: error: ports[0].targetPort: "80" is text, and a port name has at '
            "least one letter (remove the quotes)",
        ),
        ("{port: 1, targetPort: a.b}", 'f.yaml:5: error: ports[0].targetPort: "a.b" is not a'),
        ("{port: 1, targetPort: 70000}", "f.yaml:5: error: ports[0].targetPort: 70000 is out"),
        ("{port: 1, nodePort: x}", "f.yaml:5: error: ports[0].nodePort: must be a whole"),
        ("{port: 1, protocol: [TCP]}", "f.yaml:5: error: ports[0].protocol: must be a string"),
        ("{port: 1, appProtocol: 7}", "f.yaml:5: error: ports[0].appProtocol: must be a str"),
        ('{port: 1, appProtocol: ""}', "f.yaml:5: error: ports[0].appProtocol: is empty"),
    ],
)
def test_problems(port: str, problem: str) -> None:
    problems = problems_of(f"ports: [{port}]\n")
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_one_number_may_stand_once_for_each_protocol() -> None:
    spec = "ports:\n" + "".join(
        f"- {{name: {name}, port: 53, protocol: {protocol}}}\n"
        for name, protocol in (("a", "TCP"), ("b", "UDP"), ("c", "UDP"), ("d", '""'))
    )
    assert problems_of(spec) == [
        "f.yaml:8: error: ports[2].port: 53/UDP is already the port of spec.ports[1] "
        "(remove one of the two)",
        "f.yaml:9: error: ports[3].port: 53/TCP is already the port of spec.ports[0] "
        "(remove one of the two)",
    ]


@pytest.mark.parametrize("ports", ["ports: []\n", "ports: \n", "selector: {a: b}\n"])
def test_services_in_the_cluster_need_one(ports: str) -> None:
    (problem,) = problems_of(ports)
    assert problem.endswith("error: ports: is required: at least one port")


@pytest.mark.parametrize("ports", ["80", "{port: 80}"])
def test_they_are_a_list(ports: str) -> None:
    (problem,) = problems_of(f"ports: {ports}\n")
    assert problem.startswith("f.yaml:5: error: ports: must be a list, not ")


def test_huge_inputs_stay_fast() -> None:
    spec: dict[str, Any] = {f"unknown{i}" * 20: 1 for i in range(300)}
    text = "".join(f"{key}: 1\n" for key in spec) + "ports: [" + "{port: 0}," * 300 + "]"
    problems = problems_of(text)
    assert len(problems) == 300 + 300 + 300 + 299
