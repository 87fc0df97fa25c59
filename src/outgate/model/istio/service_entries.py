"""ServiceEntry to destinations: one for each host."""

import ipaddress
from collections.abc import Iterator

from outgate.model.declarations import Declarations, Source
from outgate.model.destinations import External, Port
from outgate.model.names import Name
from outgate.resources.istio.endpoints import as_address
from outgate.resources.istio.resilience import DEFAULT_RETRIES
from outgate.resources.istio.service_entries import EntryPort, ServiceEntry
from outgate.traffic.references import Network
from outgate.traffic.routing import Rule
from outgate.traffic.special import REFUSED
from outgate.traffic.upstream import Endpoint, Resolution, Upstream

_RESOLUTIONS = {
    "STATIC": Resolution.STATIC,
    "DNS": Resolution.DNS,
    "DNS_ROUND_ROBIN": Resolution.DNS,
}


def service_entry(entry: ServiceEntry) -> Declarations:
    """Return what a ServiceEntry declares."""
    meta = entry.metadata
    source = Source("ServiceEntry", meta.namespace, meta.name)
    ports = tuple(_port(entry, port) for port in entry.ports)
    rules: tuple[Rule, ...] = ()
    if any(port.is_http for port in ports):
        rules = (Rule(retries=DEFAULT_RETRIES, source=str(source)),)
    destinations = tuple(
        External(
            name=Name(meta.namespace, host),
            host=host,
            ports=ports,
            created=meta.creation_timestamp,
            visible=entry.visible,
            rules=rules,
            networks=entry.networks,
            source=str(source),
        )
        for host in entry.hosts
    )
    return Declarations(source, entry.location, meta.creation_timestamp, destinations)


def _port(entry: ServiceEntry, port: EntryPort) -> Port:
    endpoints = tuple(
        Endpoint(each.address, each.ports.get(port.name, 0), 0, each.weight, each.locality)
        for each in entry.endpoints
    )
    private = tuple(_private(entry))
    upstream = Upstream(
        resolution=_RESOLUTIONS.get(entry.resolution),
        endpoints=endpoints or None,
        private=private or None,
        names=entry.names or None,
    )
    return Port(port.number, port.protocol, port.name, port.target, upstream)


def _private(entry: ServiceEntry) -> Iterator[Network]:
    """Return what is written out of addresses that no name may lead to otherwise."""
    found = [as_address(each.address) for each in entry.endpoints]
    written = [ipaddress.ip_network(each) for each in found if each is not None]
    if entry.resolution == "NONE":
        written += entry.networks
    for each in written:
        if any(each.version == one.version and each.subnet_of(one) for one in REFUSED):  # type: ignore[arg-type]
            yield each
