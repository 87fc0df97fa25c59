"""What Envoy refuses is refused by itself: with it Envoy would refuse the routes of all hosts that share a scope."""

from typing import Any

import pytest
import yaml

from outgate.resources.kinds import parse
from outgate.resources.manifests import read
from outgate.resources.problems import Severity


def errors(document: dict[str, Any]) -> list[str]:
    found = parse(read(yaml.safe_dump(document), "f").documents)
    return [each.path for each in found.problems if each.severity is Severity.ERROR]


def modifier(**said: Any) -> dict[str, Any]:
    return {"type": "RequestHeaderModifier", "requestHeaderModifier": said}


def path(kind: str, field: str) -> dict[str, Any]:
    modified = {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/a\nb"}}
    return {"type": kind, field: modified}


@pytest.mark.parametrize(
    "given",
    [
        modifier(remove=[""]),
        modifier(remove=["a\nb"]),
        modifier(set=[{"name": "a", "value": "a\nb"}]),
        modifier(add=[{"name": "host", "value": "a\nb"}]),
        path("URLRewrite", "urlRewrite"),
        path("RequestRedirect", "requestRedirect"),
    ],
)
def test_filters_of_an_http_route(given: dict[str, Any]) -> None:
    assert len(errors(route(given))) == 1


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "x-outgate-namespace"])
def test_a_route_does_not_say_where_a_request_ends_or_who_calls(name: str) -> None:
    for given in (
        modifier(set=[{"name": name, "value": "0"}]),
        modifier(add=[{"name": name, "value": "0"}]),
        modifier(remove=[name]),
    ):
        assert len(errors(route(given))) == 1


def route(given: dict[str, Any]) -> dict[str, Any]:
    rule: dict[str, Any] = {"filters": [given]}
    if given["type"] != "RequestRedirect":
        rule["backendRefs"] = [{"name": "s", "port": 80}]
    parent = {"group": "", "kind": "Service", "name": "s"}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "r"},
        "spec": {"parentRefs": [parent], "rules": [rule]},
    }


@pytest.mark.parametrize(
    "said",
    [
        {"match": [{"headers": {"": {"exact": "a"}}}]},
        {"match": [{"headers": {"a\nb": {"exact": "a"}}}]},
        {"match": [{"queryParams": {"": {"exact": "a"}}}]},
        {"match": [{"queryParams": {"a" * 1025: {"exact": "a"}}}]},
        {"headers": {"request": {"set": {"a": "%" * 8193}}}},
        {"route": [], "redirect": {"uri": "/a?b\n"}},
    ],
)
def test_routes_of_a_virtual_service(said: dict[str, Any]) -> None:
    assert len(errors(virtual_service(said))) == 1


def test_an_empty_prefix_is_what_everything_begins_with() -> None:
    said = {"match": [{"headers": {"a": {"prefix": ""}}, "method": {"prefix": ""}}]}
    (found,) = parse(read(yaml.safe_dump(virtual_service(said)), "f").documents).every()
    compared = [one.text.comparison for one in found.rules[0].matches[0].headers]
    assert compared == ["present", "present"]


def virtual_service(said: dict[str, Any]) -> dict[str, Any]:
    leading = {"route": [{"destination": {"host": "s"}}]}
    return istio("VirtualService", hosts=["s"], http=[leading | said])


@pytest.mark.parametrize("key", [{"httpHeaderName": "a\nb"}, {"httpCookie": {"name": "a; b"}}])
def test_what_a_destination_rule_hashes(key: dict[str, Any]) -> None:
    policy = {"loadBalancer": {"consistentHash": key}}
    assert len(errors(istio("DestinationRule", host="s", trafficPolicy=policy))) == 1


def istio(kind: str, **spec: Any) -> dict[str, Any]:
    version = "networking.istio.io/v1"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "v"}, "spec": spec}


def test_one_resource_does_not_take_all_time_and_memory() -> None:
    """70 s of the controller's time and 870 MB took the first of these, which is no long text."""
    rules = [
        {"matches": [{"path": {"prefix": f"/{rule}/{n}"}} for n in range(8)]} for rule in range(64)
    ]
    external = {
        "apiVersion": "outgate.dev/v1alpha1",
        "kind": "ExternalService",
        "metadata": {"name": "e"},
        "spec": {
            "hosts": [f"h{n}.example.com" for n in range(64)],
            "ports": [{"port": 1000 + n, "protocol": "HTTP"} for n in range(64)],
            "rules": [each | {"timeouts": {"request": "1s"}} for each in rules],
        },
    }
    assert errors(external) == ["spec.rules"]
    ports = [{"number": 1 + n, "name": f"p{n}", "protocol": "TCP"} for n in range(100)]
    hosts = [f"h{n}.example.com" for n in range(50)]
    entry = istio("ServiceEntry", hosts=hosts, ports=ports, resolution="DNS")
    assert errors(entry) == ["spec.hosts"]


def test_one_policy_does_not_make_all_of_them_too_large() -> None:
    paths = [{"prefix": f"/{n}"} for n in range(16)]
    hosts = [{"host": f"h{n}.example.com"} for n in range(32)]
    rule = {"to": hosts, "http": [{"paths": paths}] * 16}
    policy = {
        "apiVersion": "outgate.dev/v1alpha1",
        "kind": "EgressPolicy",
        "metadata": {"name": "p"},
        "spec": {"rules": [rule]},
    }
    assert errors(policy) == []
    assert errors({**policy, "spec": {"rules": [rule, rule]}}) == ["spec.rules"]


def test_a_ring_does_not_take_the_memory_of_every_egress() -> None:
    ring = {"consistentHash": {"useSourceIp": True, "ringHash": {"minimumRingSize": 2**23}}}
    found = errors(istio("DestinationRule", host="s", trafficPolicy={"loadBalancer": ring}))
    assert found == ["spec.trafficPolicy.loadBalancer.consistentHash.ringHash.minimumRingSize"]
