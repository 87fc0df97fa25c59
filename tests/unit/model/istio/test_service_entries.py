"""What ServiceEntries mean: hosts, ports, addresses, and who sees them."""

from typing import Any

import pytest
from tests.unit.model.istio.meaning import API, ENTRY, assembled, errors, found, made

from outgate.resources.istio.resilience import DEFAULT_RETRIES
from outgate.traffic.references import Protocol
from outgate.traffic.upstream import (
    Endpoint,
    Resolution,
)


def test_an_entry_declares_each_of_its_hosts_for_all_namespaces() -> None:
    spec = {**ENTRY, "hosts": [API, "*.Example.org"], "resolution": "NONE"}
    assembly = assembled(made("ServiceEntry", spec))
    assert found(assembly).visible is None
    assert found(assembly, "*.example.org").host == "*.example.org"
    ports = [(each.number, each.protocol, each.outside) for each in found(assembly).ports]
    # Istio's HTTPS is the application's own TLS.
    assert ports == [(80, Protocol.HTTP, 443), (443, Protocol.TLS, 443)]


@pytest.mark.parametrize(
    ("export", "visible"),
    [
        (None, None),
        (["*"], None),
        (["."], {"default"}),
        ([".", "team"], {"default", "team"}),
        (["~"], set()),
    ],
)
def test_visibility(export: Any, visible: set[str] | None) -> None:
    destination = found(assembled(made("ServiceEntry", {**ENTRY, "exportTo": export})))
    assert destination.visible == visible


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("http", Protocol.HTTP),
        ("GRPC", Protocol.GRPC),
        ("TLS", Protocol.TLS),
        ("MONGO", Protocol.TCP),
    ],
)
def test_protocols(protocol: str, expected: Protocol) -> None:
    ports = [{"number": 80, "name": "p", "protocol": protocol}]
    assert (
        found(assembled(made("ServiceEntry", {**ENTRY, "ports": ports}))).ports[0].protocol
        is expected
    )


def test_static_endpoints_have_their_own_ports_and_may_be_private() -> None:
    endpoints = [
        {"address": "10.1.2.3", "ports": {"http": 8080}, "weight": 3, "locality": "eu/a"},
        {"address": "2001:db8::1"},
    ]
    spec = {**ENTRY, "resolution": "STATIC", "endpoints": endpoints}
    upstream = found(assembled(made("ServiceEntry", spec))).ports[0].upstream
    assert upstream.resolution is Resolution.STATIC
    assert upstream.endpoints == (
        Endpoint("10.1.2.3", 8080, weight=3, locality=("eu", "a", "")),
        Endpoint("2001:db8::1"),
    )
    assert upstream.private is not None
    assert "10.1.2.3/32" in map(str, upstream.private)


@pytest.mark.parametrize(
    "network", ["169.254.0.0/16", "0.0.0.0/0", "127.0.0.1", "fe80::/64", "::/0"]
)
def test_what_is_never_called_is_refused(network: str) -> None:
    spec = {**ENTRY, "resolution": "NONE", "addresses": [network]}
    assert [path for path, _ in errors(made("ServiceEntry", spec))] == ["spec.addresses[0]"]


def test_private_ranges_are_granted_where_they_are_named() -> None:
    spec = {**ENTRY, "resolution": "NONE", "addresses": ["203.0.113.0/24", "10.0.0.0/8"]}
    upstream = found(assembled(made("ServiceEntry", spec))).ports[0].upstream
    assert list(map(str, upstream.private or ())) == ["10.0.0.0/8"]


def test_calls_are_tried_again_as_istio_does_it() -> None:
    assert [each.retries for each in found(assembled(made("ServiceEntry", ENTRY))).rules] == [
        DEFAULT_RETRIES
    ]


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({**ENTRY, "hosts": ["bin"]}, "spec.hosts[0]"),
        ({**ENTRY, "hosts": ["*"]}, "spec.hosts[0]"),
        ({**ENTRY, "hosts": ["192.0.2.1"]}, "spec.hosts[0]"),
        ({**ENTRY, "hosts": ["*.example.com"]}, "spec.resolution"),
        ({**ENTRY, "resolution": "STATIC"}, "spec.endpoints"),
        ({**ENTRY, "endpoints": [{"address": "unix:///x"}]}, "spec.endpoints[0].address"),
        ({**ENTRY, "endpoints": [{"address": "169.254.169.254"}]}, "spec.endpoints[0].address"),
        ({**ENTRY, "addresses": ["0.0.0.0/0"]}, "spec.addresses[0]"),
        ({**ENTRY, "workloadSelector": {"labels": {"a": "b"}}}, "spec.workloadSelector"),
    ],
)
def test_what_would_open_or_break_something_is_refused(spec: Any, path: str) -> None:
    assert [each for each, _ in errors(made("ServiceEntry", spec))] == [path]


def test_older_versions_mean_the_same() -> None:
    for version in ("v1beta1", "v1alpha3"):
        document = {**made("ServiceEntry", ENTRY), "apiVersion": f"networking.istio.io/{version}"}
        assert found(assembled(document)) == found(assembled(made("ServiceEntry", ENTRY)))
    document = {**made("ServiceEntry", ENTRY), "apiVersion": "networking.istio.io/v2"}
    assert [path for path, _ in errors(document)] == ["apiVersion"]
