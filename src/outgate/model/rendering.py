"""Shows the model as plain values, for `translate` and its tests: what was understood, before Envoy comes into it."""

from collections.abc import Mapping
from typing import Any, assert_never

from outgate.model.addresses import Allocation
from outgate.model.destinations import Destination, External, Internal, Port, forms
from outgate.model.names import Name


def render(
    destinations: Mapping[Name, Destination], allocation: Allocation, domain: str
) -> dict[str, Any]:
    """Return all destinations, sorted by namespace and name, as JSON's types only."""
    ordered = sorted(destinations)
    return {
        "destinations": [_destination(destinations[name], allocation, domain) for name in ordered]
    }


def _destination(service: Destination, allocation: Allocation, domain: str) -> dict[str, Any]:
    address = allocation.address(service.name)
    shown: dict[str, Any] = {
        "namespace": service.name.namespace,
        "name": service.name.name,
        "names": list(forms(service.name, domain)),
        "addresses": [str(address.ipv4), str(address.ipv6)] if address else [],
        "ports": [_port(port) for port in service.ports],
    }
    match service:
        case External():
            shown["external"] = service.host
        case Internal():
            for port, endpoints in zip(shown["ports"], service.endpoints, strict=True):
                port["endpoints"] = [
                    {"pod": str(each.pod), "port": each.port} for each in endpoints
                ]
        case _:
            assert_never(service)
    return shown


def _port(port: Port) -> dict[str, Any]:
    shown: dict[str, Any] = {"number": port.number, "protocol": port.protocol.value}
    if port.name:
        shown["name"] = port.name
    return shown
