"""What Envoy would refuse, and with it all that shares a resource with it, is refused by itself."""

from typing import Any

import pytest
import yaml

from outgate.resources.expressions import groups, matches, trouble
from outgate.resources.kinds import parse
from outgate.resources.manifests import read
from outgate.resources.problems import Severity

ONLY_PYTHON = (
    "(?x)a",
    "(?a)a",
    "(?u)a",
    "(?#x)a",
    r"\u0041",
    r"\N{DIGIT ONE}",
    "[[:foo:]]",
    r"\p{Foo}",
    "(a{40}){40}",
    r"\pL{900}",
    r"\Qa",
)


@pytest.mark.parametrize("text", ONLY_PYTHON)
def test_what_re2_does_not_take_is_refused_by_every_front_end(text: str) -> None:
    assert trouble(text)
    path = {"type": "RegularExpression", "value": text}
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "r"},
        "spec": {
            "parentRefs": [{"group": "", "kind": "Service", "name": "s"}],
            "rules": [{"matches": [{"path": path}], "backendRefs": [{"name": "s", "port": 80}]}],
        },
    }
    to_s = [{"destination": {"host": "s"}}]
    virtual = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "v"},
        "spec": {
            "hosts": ["s"],
            "http": [{"match": [{"uri": {"regex": text}}], "route": to_s}],
        },
    }
    rule = {"matches": [{"path": {"regex": text}}], "timeouts": {"request": "1s"}}
    external = {
        "apiVersion": "outgate.dev/v1alpha1",
        "kind": "ExternalService",
        "metadata": {"name": "e"},
        "spec": {
            "hosts": ["api.example.com"],
            "ports": [{"port": 80, "protocol": "HTTP"}],
            "rules": [rule],
        },
    }
    for each in (route, virtual, external):
        assert refused(each) == 1, each["kind"]


def refused(document: dict[str, Any]) -> int:
    found = parse(read(yaml.safe_dump(document), "f").documents)
    return len([each for each in found.problems if each.severity is Severity.ERROR])


@pytest.mark.parametrize("text", ["a{,5}", "(?<n>a)", r"\p{Greek}", "[[:alpha:]]+", "[a-z]{1000}"])
def test_what_re2_takes_is_taken(text: str) -> None:
    assert not trouble(text)


def test_an_expression_decides_in_little_time_whatever_it_is() -> None:
    assert not matches("(a+)+b", "a" * 5000)
    assert matches("(A+)+B", "aab", ignore_case=True)
    assert groups("(a)(b)") == 2
    assert groups("(") is None
