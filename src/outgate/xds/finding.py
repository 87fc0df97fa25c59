"""The clusters by which connections are found that are not HTTP: by their address, or by TLS's server name.

Whatever a connection could ask for has a name of its own (`naming.raw_cluster`, `naming.tls_cluster`); where there is
no cluster of that name, nothing is declared.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from outgate.model.addresses import Address
from outgate.model.destinations import External, Internal, Port
from outgate.traffic.references import Protocol
from outgate.xds import building, clusters, naming
from outgate.xds.clusters import Upstream
from outgate.xds.snapshot import Resource


@dataclass(frozen=True, slots=True)
class Way:
    """How connections to a name arrive: at which address, and whether they are found by it (`raw`).

    `callers` are the namespaces in whose calls it is found, "" for all.
    """

    address: Address
    raw: bool
    callers: tuple[str, ...] = ("",)

    def by_address(self, port: int) -> tuple[str, ...]:
        """Return the clusters of connections to a port, if they are found by address."""
        if not self.raw:
            return ()
        pair = (self.address.ipv4, self.address.ipv6)
        return tuple(naming.raw_cluster(ip, port, each) for each in self.callers for ip in pair)

    def by_server_name(self, host: str, port: int) -> tuple[str, ...]:
        """Return the clusters of TLS connections to a port."""
        return tuple(naming.tls_cluster(host, port, each) for each in self.callers)


def external(service: External, way: Way, upstream: Upstream) -> tuple[Resource, ...]:
    """Return what finds the ports of a service outside."""
    if service.is_wildcard:
        listener = naming.wildcard(service.name)
        return tuple(
            building.cluster(clusters.alias(name, service, listener))
            for port in service.ports
            if port.protocol is not Protocol.TCP
            for name in way.by_address(port.number)
        )
    return tuple(each for port in service.ports for each in _of_port(service, port, way, upstream))


def _of_port(service: External, port: Port, way: Way, upstream: Upstream) -> Iterator[Resource]:
    by_address = way.by_address(port.number)
    if port.protocol is Protocol.TCP:
        onward = by_address
    else:
        # What speaks first is told apart by what it says, in a listener that waits for it.
        for name in by_address:
            yield building.cluster(clusters.alias(name, service, naming.LATE))
        passed = port.protocol is Protocol.TLS
        onward = way.by_server_name(service.host, port.number) if passed else ()
    for name in onward:
        yield from clusters.to_port(name, service, port, upstream)


def internal(service: Internal, way: Way) -> tuple[Resource, ...]:
    """Return what finds the ports of a service inside that has a plain TCP port."""
    resources: list[Resource] = []
    for port, endpoints in zip(service.ports, service.endpoints, strict=True):
        for name in way.by_address(port.number):
            message = (
                clusters.alias(name, service, naming.LATE)
                if port.is_http
                else clusters.to_pods(name, service, endpoints)
            )
            resources.append(building.cluster(message))
    return tuple(resources)
