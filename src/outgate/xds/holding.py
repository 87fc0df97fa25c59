"""What is programmed for one holder of an address: a Service, or a host with all who declare it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from outgate.model.addresses import Allocation, Claim, Region
from outgate.model.destinations import Destination, External, Internal, Port
from outgate.model.names import Name
from outgate.model.visibility import EVERYONE, Callers, Own, divide
from outgate.xds import clusters, finding, wildcards
from outgate.xds.clusters import Upstream
from outgate.xds.finding import Way
from outgate.xds.snapshot import Resource


@dataclass(frozen=True, slots=True)
class Holder:
    """A Service (`declared` is it alone), or a host: who declares it, and what wildcards say of it (`wild`)."""

    name: Name
    declared: tuple[Destination, ...]
    wild: tuple[External, ...] = ()
    below: tuple[Own, ...] = ()
    """Of a wildcard: what is below it and declared by itself."""

    @property
    def members(self) -> tuple[Destination, ...]:
        """All destinations, those that are declared first."""
        return (*self.declared, *self.wild)

    @property
    def ports(self) -> tuple[Port, ...]:
        """Each port of each of them."""
        return tuple(port for each in self.members for port in each.ports)

    def views(self) -> tuple[tuple[Destination, Callers], ...]:
        """Return who calls which of them."""
        hosts = [each for each in self.members if isinstance(each, External) and each.is_host]
        return divide(hosts) if hosts else tuple((each, EVERYONE) for each in self.declared)

    def spaces(self, known: Iterable[str]) -> frozenset[str]:
        """Return the namespaces that callers may be in: those that are known, and those of who declares it."""
        return frozenset(known) | {each.name.namespace for each in self.members}

    def region(self) -> Region:
        """Return where its address is from."""
        local = any(not callers.everyone for _, callers in self.views())
        if any(_is_raw(each) for each in self.members):
            return Region.RAW_LOCAL if local else Region.RAW
        tls = any(isinstance(each, External) and each.has_tls_port for each in self.members)
        return Region.SNI_LOCAL if tls and local else Region.HTTP

    def claim(self) -> Claim | None:
        """Return what address it is to have; None for one that cannot be called."""
        if not self.ports:
            return None
        return Claim(self.name, self.region(), min(each.created for each in self.members))


def _is_raw(destination: Destination) -> bool:
    wildcard = isinstance(destination, External) and destination.is_wildcard
    return destination.has_raw_port or wildcard


def resources(
    held: Holder, allocation: Allocation, upstream: Upstream, namespaces: Iterable[str], log: str
) -> tuple[Resource, ...]:
    """Return the clusters of all its ports, and what finds those that are not found by the Host.

    `namespaces` are those that there are: some see what is for everybody, where others see their own. `log` is the
    egress log's path.
    """
    address = allocation.address(held.name)
    claim = allocation.claims.get(held.name)
    if address is None or claim is None:
        return ()
    made = [one for each in held.members for one in _called(each, upstream, log, held.below)]
    way = Way(address, claim.region.is_raw)
    for each, callers in held.views():
        if claim.region.is_local:
            way = replace(way, callers=tuple(sorted(callers.among(held.spaces(namespaces)))))
        match each:
            case Internal():
                made += finding.internal(each, way)
            case External():
                made += finding.external(each, way, upstream)
    return tuple(made)


def _called(
    destination: Destination, upstream: Upstream, log: str, below: tuple[Own, ...]
) -> tuple[Resource, ...]:
    match destination:
        case Internal():
            return clusters.internal(destination)
        case External() if destination.is_wildcard:
            return wildcards.resources(destination, log, upstream, below)
        case External():
            return clusters.external(destination, upstream)
