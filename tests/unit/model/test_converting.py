"""What `outgate convert` writes does what Istio's resources did, whatever they say."""

import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.model.drawing import HOSTS, document, exact, paths, ports, rule, virtual, wild

from outgate.model.assembling import Assembly
from outgate.model.converting import convert
from outgate.model.converting.simplifying import anonymous, simplified
from outgate.model.deriving import declare, source_of
from outgate.model.destinations import External, Port
from outgate.model.names import Name
from outgate.resources.kinds import Resources, parse
from outgate.resources.manifests import read
from outgate.resources.problems import Severity
from outgate.resources.writing import to_yaml
from outgate.traffic.references import Protocol
from outgate.traffic.routing import Comparison, Match, Rewrite, Rule, Text


def parsed(documents: Any) -> Resources:
    return parse(read(yaml.safe_dump_all(documents), "-").documents)


def effective(resources: Resources) -> dict[Name, External]:
    assembly = Assembly()
    assembly.update([(source_of(each), declare(each)) for each in resources.every()])
    return {
        name: anonymous(each)
        for name, each in assembly.effective.items()
        if isinstance(each, External)
    }


@settings(max_examples=50, deadline=None)
@given(st.tuples(exact, wild, st.one_of(st.none(), virtual), st.one_of(st.none(), rule)))
def test_what_is_converted_is_read_as_the_same_destinations(documents: Any) -> None:
    resources = parsed(filter(None, documents))
    assert [each for each in resources.problems if each.severity is Severity.ERROR] == []
    converted = convert(resources)
    assert [each for each in converted.problems if each.severity is Severity.ERROR] == []
    text = "---\n".join(to_yaml(each) for each in converted.documents)
    again = parse(read(text, "-").documents)
    assert [each for each in again.problems if each.severity is Severity.ERROR] == []
    assert effective(again) == effective(resources)


def external(*rules: Rule) -> External:
    return External(
        Name("a", "h.example.com"), "h.example.com", (Port(80, Protocol.HTTP),), rules=rules
    )


def fits(text: Text | None, path: str) -> bool:
    """What Envoy does, in a few words."""
    if text is None:
        return True
    flags = re.IGNORECASE if text.ignore_case else 0
    if text.comparison is Comparison.PREFIX:
        return re.match(re.escape(text.value), path, flags) is not None
    return re.fullmatch(text.value, path, flags) is not None


def rewritten(rewrite: Rewrite, found: Text | None, path: str) -> str:
    if rewrite.regex:
        return re.sub(rewrite.regex, rewrite.substitution, path)
    assert rewrite.path is not None
    return rewrite.path + path[len(found.value if found else "/") :]


@given(
    paths,
    st.booleans(),
    st.sampled_from(("/", "/v1", "/V1x", "/v1/x", "/a.b/c", "/axb", "/x*y", "/xxy")),
)
def test_a_plain_prefix_stays_one(prefix: str, fold: bool, path: str) -> None:
    before = Text(Comparison.PREFIX, prefix, fold)
    rewrite = Rewrite("/new\\1")
    (rule,) = simplified(external(Rule((Match(before),), rewrite=rewrite))).rules
    after = rule.matches[0].path if rule.matches else None
    assert fits(before, path) is fits(after, path)
    if fits(before, path):
        assert rule.rewrite is not None
        assert rewritten(rule.rewrite, after, path) == rewritten(rewrite, before, path)


def problems(*documents: Any) -> list[tuple[str, str]]:
    converted = convert(parsed(documents))
    return [
        (each.resource, each.message)
        for each in converted.problems
        if each.severity is Severity.ERROR
    ]


ENTRY = document("ServiceEntry", {"hosts": [HOSTS[0]], "ports": ports, "resolution": "DNS"}, "se")


@pytest.mark.parametrize(
    ("http", "said"),
    [
        ({"match": [{"sourceNamespace": "x"}]}, "routes for callers of x only"),
        ({"match": [{"authority": {"prefix": "a"}}]}, "a match on authority"),
        ({"route": [{"destination": {"host": "no.example.com"}}]}, "a route to no.example.com"),
    ],
)
def test_what_cannot_be_said_is_not_printed(http: Any, said: str) -> None:
    one = {"route": [{"destination": {"host": HOSTS[0]}}], **http}
    service = document("VirtualService", {"hosts": [HOSTS[0]], "http": [one]}, "vs")
    ((resource, message),) = problems(ENTRY, service)
    assert resource == "serviceentry/se"
    assert said in message
    assert convert(parsed([ENTRY, service])).documents == ()


def test_one_entry_that_cannot_be_said_keeps_no_other() -> None:
    endpoint = {"address": "192.0.2.1", "weight": 1_000_000}
    spec = {"hosts": [HOSTS[1]], "ports": ports, "resolution": "STATIC", "endpoints": [endpoint]}
    other = document("ServiceEntry", spec, "heavy")
    converted = convert(parsed([ENTRY, other]))
    assert [each["metadata"]["name"] for each in converted.documents] == ["se"]
    (problem,) = (each for each in converted.problems if each.severity is Severity.ERROR)
    assert problem.message.startswith("an ExternalService cannot say it: spec.endpoints[0].weight")


def test_ports_that_differ_cannot_be_said() -> None:
    settings = [{"port": {"number": 80}, "connectionPool": {"tcp": {"maxConnections": 1}}}]
    rule = document(
        "DestinationRule",
        {"host": HOSTS[0], "trafficPolicy": {"portLevelSettings": settings}},
        "dr",
    )
    assert "connected to in different ways" in problems(ENTRY, rule)[0][1]


def test_what_is_said_of_a_service_is_told() -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "bin", "namespace": "team"},
        "spec": {
            "type": "ExternalName",
            "externalName": "httpbin.org",
            "ports": [{"port": 80, "name": "http"}],
        },
    }
    rule = document("DestinationRule", {"host": "bin", "trafficPolicy": {}}, "dr")
    assert [resource for resource, _ in problems(service, rule)] == ["destinationrule/dr"]


def test_hosts_that_are_called_in_different_ways_get_documents_of_their_own() -> None:
    entry = document("ServiceEntry", {**ENTRY["spec"], "hosts": list(HOSTS[:2])}, "se")
    rule = document(
        "DestinationRule", {"host": HOSTS[1], "trafficPolicy": {"tls": {"mode": "SIMPLE"}}}, "dr"
    )
    documents = convert(parsed([entry, rule])).documents
    assert [(each["metadata"]["name"], each["spec"]["hosts"]) for each in documents] == [
        ("se", ["api.example.com"]),
        ("se-2", ["b.example.com"]),
    ]


def test_nothing_is_converted_beside_a_rule_that_is_invalid() -> None:
    wrong = document(
        "VirtualService", {"hosts": [HOSTS[0]], "http": [{"delegate": {"name": "x"}}]}, "vs"
    )
    assert convert(parsed([ENTRY])).documents != ()
    assert convert(parsed([ENTRY, wrong])).documents == ()
