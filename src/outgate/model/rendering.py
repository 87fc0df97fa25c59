"""Shows the model as plain values, for `translate` and its tests: what was understood, before Envoy comes into it."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any, assert_never

from outgate.model.addresses import Allocation
from outgate.model.destinations import Destination, External, Internal, Port, forms
from outgate.model.names import Name
from outgate.traffic.references import Material


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
        "names": _names(service, domain),
        "addresses": [str(address.ipv4), str(address.ipv6)] if address else [],
        "ports": [_port(port) for port in service.ports],
    }
    match service:
        case External():
            shown["external"] = service.host
            if service.visible is not None:
                shown["visible"] = sorted(service.visible)
            if service.rules:
                shown["rules"] = [plain(each) for each in service.rules]
            if service.networks:
                shown["networks"] = [str(each) for each in service.networks]
        case Internal():
            for port, endpoints in zip(shown["ports"], service.endpoints, strict=True):
                port["endpoints"] = [
                    {"pod": str(each.pod), "port": each.port} for each in endpoints
                ]
        case _:
            assert_never(service)
    return shown


def _names(service: Destination, domain: str) -> list[str]:
    if isinstance(service, External) and service.is_host:
        return [service.host]
    return list(forms(service.name, domain))


def plain(value: Any) -> Any:
    """Return a value of `traffic` as JSON's types: a field that is as it is where nothing is said is left out."""
    match value:
        case enum.Enum():
            return value.value
        case tuple() | frozenset():
            ordered = sorted(value) if isinstance(value, frozenset) else value
            return [plain(each) for each in ordered]
        case bool() | int() | float() | str() | None:
            return value
        case _ if dataclasses.is_dataclass(value):
            return _fields(value)
        case _:
            return str(value)


def _fields(value: Any) -> dict[str, Any]:
    shown = {}
    for each in dataclasses.fields(value):
        said = getattr(value, each.name)
        made = each.default_factory
        if said != (each.default if made is dataclasses.MISSING else made()):
            shown[each.name] = plain(said)
    kind = {"kind": type(value).__name__} if isinstance(value, Material) else {}
    return kind | shown


def _port(port: Port) -> dict[str, Any]:
    shown: dict[str, Any] = {"number": port.number, "protocol": port.protocol.value}
    if port.name:
        shown["name"] = port.name
    if port.target:
        shown["target"] = port.target
    if said := plain(port.upstream):
        shown["upstream"] = said
    return shown
