"""Istio's resources as values, and what they mean together."""

from typing import Any

import yaml

from outgate.model.assembling import Assembly
from outgate.model.declarations import Source
from outgate.model.deriving import declare, source_of
from outgate.model.destinations import External, Port
from outgate.model.names import Name
from outgate.resources.kinds import Resources, parse
from outgate.resources.manifests import read
from outgate.resources.problems import Severity
from outgate.traffic.routing import (
    Rule,
)
from outgate.traffic.upstream import (
    Upstream,
)

API = "api.example.com"
ENTRY = {
    "hosts": [API],
    "ports": [
        {"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 443},
        {"number": 443, "name": "https", "protocol": "HTTPS"},
    ],
    "resolution": "DNS",
}


def made(kind: str, spec: Any, name: str = "it", namespace: str = "default") -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def parsed(*documents: dict[str, Any]) -> Resources:
    return parse(read(yaml.safe_dump_all(documents), "-").documents)


def assembled(*documents: dict[str, Any]) -> Assembly:
    resources = parsed(*documents)
    assert [each for each in resources.problems if each.severity is Severity.ERROR] == []
    assembly = Assembly()
    assembly.update([(source_of(each), declare(each)) for each in resources.every()])
    return assembly


def found(assembly: Assembly, host: str = API, namespace: str = "default") -> External:
    destination = assembly.effective[Name(namespace, host)]
    assert isinstance(destination, External)
    return destination


def port(number: int, *documents: dict[str, Any]) -> Port:
    entry = made("ServiceEntry", ENTRY)
    return next(each for each in found(assembled(entry, *documents)).ports if each.number == number)


def rules(http: Any, **spec: Any) -> tuple[Rule, ...]:
    entry = made("ServiceEntry", ENTRY)
    other = made("ServiceEntry", {**ENTRY, "hosts": ["b.example.com"]}, "other")
    service = made("VirtualService", {"hosts": [API], "http": http, **spec})
    return found(assembled(entry, other, service)).rules


def rule(route: Any) -> Rule:
    return rules([{"route": [{"destination": {"host": API}}], **route}])[0]


def policy(**policy: Any) -> Upstream:
    destination_rule = made("DestinationRule", {"host": API, "trafficPolicy": policy})
    return port(80, destination_rule).upstream


def errors(*documents: dict[str, Any]) -> list[tuple[str, str]]:
    problems = parsed(*documents).problems
    return [(each.path, each.message) for each in problems if each.severity is Severity.ERROR]


def told(assembly: Assembly, kind: str) -> list[tuple[str, str]]:
    source = Source(kind, "default", "it")
    return [(each.path, each.message) for each in assembly.found.get(source, ())]
