from typing import Any

import pytest

from outgate.model.destinations import Destination, Endpoint, External, Internal, Port
from outgate.model.names import Name
from outgate.settings import Settings
from outgate.traffic.references import Protocol
from outgate.xds import routes
from outgate.xds.rendering import decode

NAME = Name("ns", "s")


def scope(*ports: Port, service: Destination | None = None) -> dict[str, Any]:
    member = service or External(NAME, "h.example.com", ports)
    found = routes.scope(routes.scope_key(member.name), (member,), Settings())
    assert found is not None
    return decode(found)


def host(*ports: Port) -> dict[str, Any]:
    (only,) = scope(*ports)["route_configuration"]["virtual_hosts"]
    assert isinstance(only, dict)
    return only


def test_it_is_found_by_service_and_namespace() -> None:
    found = scope(Port(80, Protocol.HTTP))
    assert found["key"]["fragments"] == [{"string_key": "s"}, {"string_key": "ns"}]
    # Envoy matches the Host again: a scope's labels alone would take s.ns.example.com too.
    domains = found["route_configuration"]["virtual_hosts"][0]["domains"]
    assert domains == ["s", "s.ns", "s.ns.svc", "s.ns.svc.cluster", "s.ns.svc.cluster.local"]


def test_each_port_leads_to_a_cluster_of_its_own() -> None:
    found = host(Port(80, Protocol.HTTP), Port(8443, Protocol.HTTPS), Port(22, Protocol.TCP))
    pairs = [
        (each["match"]["headers"][0]["string_match"]["exact"], each["route"]["cluster"])
        for each in found["routes"]
    ]
    assert pairs == [("80", "http|s.ns|80"), ("8443", "http|s.ns|8443")]


def test_a_service_of_plain_tcp_has_none() -> None:
    service = External(NAME, "h", (Port(22, Protocol.TCP),))
    assert routes.scope(("s", "ns"), (service,), Settings()) is None


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (Port(80, Protocol.HTTP), "h.example.com"),
        (Port(8080, Protocol.HTTP), "h.example.com:8080"),
        (Port(443, Protocol.HTTP), "h.example.com:443"),
        (Port(443, Protocol.HTTPS), "h.example.com"),
        (Port(80, Protocol.HTTPS), "h.example.com:80"),
        (Port(50051, Protocol.GRPC), "h.example.com:50051"),
    ],
)
def test_the_host_that_goes_out_is_the_external_one(port: Port, expected: str) -> None:
    assert host(port)["routes"][0]["route"]["host_rewrite_literal"] == expected


def test_inside_the_host_is_left_as_it_is() -> None:
    endpoints = ((Endpoint(Name("ns", "p"), "/p", 80),),)
    service = Internal(NAME, (Port(80, Protocol.HTTP),), endpoints)
    (virtual,) = scope(service=service)["route_configuration"]["virtual_hosts"]
    assert "host_rewrite_literal" not in virtual["routes"][0]["route"]


def test_our_headers_do_not_leave() -> None:
    removed = host(Port(80, Protocol.HTTP))["request_headers_to_remove"]
    assert {"x-outgate-scope", "x-outgate-port"} <= set(removed)


def test_only_what_cannot_have_been_acted_upon_is_tried_again() -> None:
    route = host(Port(80, Protocol.HTTP))["routes"][0]["route"]
    assert (
        route["retry_policy"]["retry_on"] == "connect-failure,refused-stream,reset-before-request"
    )
    assert route["timeout"] == "0s"
