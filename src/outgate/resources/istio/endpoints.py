"""The endpoints of a ServiceEntry."""

import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.hosts import Address, hostname
from outgate.resources.istio.reading import whole
from outgate.resources.paths import child, item, quote
from outgate.resources.ports import MAX_PORT
from outgate.traffic.references import Network

_PATH = "spec.endpoints"
_MAX_WEIGHT = 2**20
_MAX_TOTAL = 2**32 - 1
"""Envoy's, of all endpoints together."""


@dataclass(frozen=True, slots=True)
class EntryEndpoint:
    """One endpoint: `address` is an IP address or a DNS name, `ports` are numbers by the names of the entry's ports."""

    address: str
    ports: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    weight: int = 1
    locality: tuple[str, str, str] = ("", "", "")


_NEVER = tuple(
    ipaddress.ip_network(each)
    for each in (
        *("0.0.0.0/8", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "224.0.0.0/3"),
        *("::/96", "::ffff:0:0/96", "fd00:ec2::254/128", "fe80::/10", "ff00::/8"),
    )
)
"""The machine itself, its neighbours, metadata services, and what is no address of a host."""


def is_never_called(network: Network) -> bool:
    """Whether a range has anything that not even a resource that names it may lead to."""
    return any(each.version == network.version and each.overlaps(network) for each in _NEVER)


def parse_endpoints(
    check: Checker, spec: Mapping[str, Any], resolution: str, names: Collection[str]
) -> tuple[EntryEndpoint, ...]:
    """Read `spec.endpoints`; `names` are those of the entry's ports."""
    items = check.items(spec, "spec", "endpoints")
    found = [_endpoint(check, entry, item(_PATH, index), names) for index, entry in items]
    if resolution == "STATIC":
        if not spec.get("endpoints") and not spec.get("workloadSelector"):
            hint = "for example {address: 192.0.2.1}"
            check.error(_PATH, "is required with resolution STATIC", hint)
        for index, each in enumerate(found):
            if each and as_address(each.address) is None:
                path = child(item(_PATH, index), "address")
                message = f"{quote(each.address)} is no IP address, as resolution STATIC has it"
                check.error(path, message, "write resolution: DNS")
    elif resolution in ("NONE", "DYNAMIC_DNS") and items:
        message = f"endpoints are not called with resolution {resolution}"
        check.error(_PATH, message, "write resolution: STATIC or DNS, or remove them")
    if sum(each.weight for each in found if each) > _MAX_TOTAL:
        check.error(_PATH, f"weights are more than {_MAX_TOTAL} together", "write smaller ones")
    return tuple(each for each in found if each is not None)


def _endpoint(
    check: Checker, entry: Mapping[str, Any], path: str, names: Collection[str]
) -> EntryEndpoint | None:
    text = _address(check, entry, path)
    ports = check.mapping(entry, path, "ports") or {}
    here = child(path, "ports")
    numbers = {name: whole(check, ports, here, name, (1, MAX_PORT)) for name in ports}
    for name in numbers:
        if name not in names:
            message = f"{quote(name)} is the name of no port in spec.ports"
            check.error(child(here, name), message, f"one of {', '.join(names)}" if names else "")
    weight = whole(check, entry, path, "weight", (0, _MAX_WEIGHT))
    locality = _locality(check, entry, path)
    if text is None:
        return None
    known = {name: number for name, number in numbers.items() if number is not None}
    return EntryEndpoint(text, MappingProxyType(known), weight or 1, locality)


def _address(check: Checker, entry: Mapping[str, Any], path: str) -> str | None:
    text = check.string(entry, path, "address")
    here = child(path, "address")
    if not text:
        if entry.get("address") in (None, ""):
            check.error(here, "is required: an IP address or a DNS name")
        return None
    if text.startswith("unix:"):
        check.error(here, "Unix sockets are not called", "write an IP address or a DNS name")
        return None
    if (found := as_address(text)) is not None:
        if is_never_called(ipaddress.ip_network(found)):
            check.error(here, f"{quote(text)} is never called", "write an address outside")
            return None
        return str(found)
    name = text.lower().removesuffix(".")
    return None if check.flaw(here, hostname(name)) else name


def as_address(text: str) -> Address | None:
    """Read an IP address in its proper spelling."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _locality(check: Checker, entry: Mapping[str, Any], path: str) -> tuple[str, str, str]:
    text = check.string(entry, path, "locality") or ""
    region, _, rest = text.partition("/")
    zone, _, subzone = rest.partition("/")
    if "/" in subzone:
        check.error(child(path, "locality"), f"{quote(text)} is not REGION/ZONE/SUBZONE")
    return region, zone, subzone
