"""The egress Envoy's whole configuration, as a value that a change turns into the next one.

A change costs what it touches: what other services serialised to is shared, and the DNS table is joined from parts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from outgate.model.addresses import SHARED, Allocation, Claim
from outgate.model.destinations import Destination, External, Internal
from outgate.model.names import Name
from outgate.model.workloads import Workload
from outgate.xds import clusters, dns, listeners, naming, pipeline, routes, tunnels
from outgate.xds.clusters import Upstream
from outgate.xds.snapshot import Resource

Key = tuple[str, str]
"""A resource's type URL and name."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where the egress Envoy runs: paths and ports of this machine, as text and numbers.

    `log` is the egress log's path, `tunnel` where sidecars' tunnels arrive (`tunnels.place`), `dns_port` and
    `forward_port` are on the host's loopback, 0 for none; `forward_resolvers` answer workloads of which only some
    ranges are captured. `sniff` is how many seconds a client at a tunnel's far end has for its first bytes.
    """

    log: str
    tunnel: str
    dns_port: int = 0
    forward_port: int = 0
    forward_resolvers: tuple[str, ...] = ()
    sniff: float = pipeline.SNIFF_SECONDS


@dataclass(frozen=True, slots=True)
class Programmed:
    """What is programmed for the destinations: addresses, serialised resources, and DNS records."""

    allocation: Allocation = field(default_factory=Allocation)
    destinations: Mapping[Name, Destination] = field(default_factory=lambda: MappingProxyType({}))
    resources: Mapping[Name, tuple[Resource, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    records: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    ports: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    """Numbers of HTTP ports, and how many services have each."""

    @property
    def http_ports(self) -> tuple[int, ...]:
        """All of them, sorted."""
        return tuple(sorted(self.ports))


@dataclass(frozen=True, slots=True)
class Delta:
    """What a change does to the snapshot."""

    changed: tuple[Resource, ...] = ()
    removed: tuple[Key, ...] = ()

    def and_then(self, other: "Delta") -> "Delta":
        """Return both as one; they are about different resources."""
        return Delta((*self.changed, *other.changed), (*self.removed, *other.removed))


def shared(site: Site, upstream: Upstream) -> tuple[Resource, ...]:
    """Return what is there without any service or workload."""
    return (
        *clusters.shared(),
        listeners.capture(upstream.settings, site.log, (), site.sniff),
        *listeners.shared(upstream.settings, site.log),
        *tunnels.front(site.tunnel, upstream.settings),
        *_names(site, ()),
    )


def _names(site: Site, table: Iterable[bytes]) -> tuple[Resource, ...]:
    return (dns.listener(naming.DNS, site.dns_port, table),) if site.dns_port else ()


def forwarding(site: Site, programmed: Programmed) -> Resource:
    """Return the DNS listener of workloads of which only some ranges are captured.

    It holds all names as well, so it is there only while such a workload is.
    """
    return _forwarding(site, _table(programmed.records))


def _forwarding(site: Site, table: Iterable[bytes]) -> Resource:
    return dns.listener(naming.DNS_FORWARD, site.forward_port, table, site.forward_resolvers)


def program(
    previous: Programmed,
    changed: Iterable[Destination],
    removed: Iterable[Name],
    site: Site,
    upstream: Upstream,
    *,
    forward: bool = False,
) -> tuple[Programmed, Delta]:
    """Return what is programmed after a change, and how the snapshot changes.

    `changed` are new and altered destinations, `removed` names that are gone; unknown names are ignored. `forward`
    tells whether there is a `forwarding` listener, which follows.
    """
    wanted = {each.name: each for each in changed}
    gone = tuple(name for name in removed if name in previous.destinations and name not in wanted)
    if not wanted and not gone:
        return previous, Delta()
    allocation, moved = _addresses(previous, wanted.values(), gone)
    wanted = {name: previous.destinations[name] for name in sorted(moved)} | wanted
    destinations, resources, records = (
        dict(previous.destinations),
        dict(previous.resources),
        dict(previous.records),
    )
    before: dict[Key, Resource] = {}
    after: dict[Key, Resource] = {}
    for name in (*gone, *wanted):
        before.update((key_of(each), each) for each in resources.get(name, ()))
    for name in gone:
        del destinations[name], resources[name], records[str(name)]
    domain = upstream.settings.trust_domain
    for name, each in wanted.items():
        eager = not _is_on_demand(previous, name, len(destinations), upstream)
        made = _resources(each, allocation, upstream, eager=eager)
        destinations[name], resources[name] = each, made
        records[str(name)] = dns.record(name, allocation.address(name) or SHARED, domain)
        after.update((key_of(one), one) for one in made)
    delta = _difference(before, after)
    if gone or any(previous.records.get(key) != records[key] for key in map(str, wanted)):
        table = _table(records)
        tables = [*_names(site, table)]
        tables += [_forwarding(site, table)] if forward else []
        delta = replace(delta, changed=(*delta.changed, *tables))
    counted = _ports(previous, wanted.values(), (*gone, *wanted))
    if counted.keys() != previous.ports.keys():
        ports = tuple(sorted(counted))
        tunnels_end = listeners.capture(upstream.settings, site.log, ports, site.sniff)
        delta = replace(delta, changed=(*delta.changed, tunnels_end))
    return Programmed(allocation, destinations, resources, records, counted), delta


def _addresses(
    previous: Programmed, changed: Iterable[Destination], gone: Iterable[Name]
) -> tuple[Allocation, frozenset[Name]]:
    """Give addresses to what can be called; also return what else has another one by that."""
    claims: list[Claim] = []
    without = list(gone)
    for each in changed:
        if each.ports:
            claims.append(Claim(each.name, each.has_raw_port, each.created))
        else:
            without.append(each.name)
    return previous.allocation.assign(claims, without)


def _ports(
    previous: Programmed, changed: Iterable[Destination], touched: Iterable[Name]
) -> dict[int, int]:
    counts = Counter(previous.ports)
    for name in touched:
        if (before := previous.destinations.get(name)) is not None:
            counts.subtract(port.number for port in before.ports if port.is_http)
    for each in changed:
        counts.update(port.number for port in each.ports if port.is_http)
    return {number: count for number, count in counts.items() if count > 0}


def _table(records: Mapping[str, bytes]) -> list[bytes]:
    """Put records in an order that does not depend on history; by text, as a change does it for all of them."""
    return [records[key] for key in sorted(records)]


def key_of(resource: Resource) -> Key:
    """Return a resource's identity."""
    return resource.type_url, resource.name


def _difference(before: Mapping[Key, Resource], after: Mapping[Key, Resource]) -> Delta:
    changed = tuple(each for key, each in after.items() if before.get(key) != each)
    return Delta(changed, tuple(key for key in before if key not in after))


def _is_on_demand(previous: Programmed, name: Name, count: int, upstream: Upstream) -> bool:
    """Decide when a service is first seen, and keep to it: changing over would drop what is in use."""
    held = previous.resources.get(name)
    if held:
        return any(each.on_demand for each in held)
    return count >= upstream.settings.eager_services


def _resources(
    destination: Destination, allocation: Allocation, upstream: Upstream, *, eager: bool
) -> tuple[Resource, ...]:
    address = allocation.address(destination.name)
    if address is None:
        return ()
    match destination:
        case External():
            made = clusters.external(destination, address, upstream)
        case Internal():
            made = clusters.internal(destination, address)
    if eager:
        made = tuple(replace(each, on_demand=False) for each in made)
    key = routes.scope_key(destination)
    route = routes.scope(key, (destination,), upstream.settings, on_demand=not eager)
    return made if route is None else (*made, route)


def workload(
    workload: Workload,
    served: Iterable[int],
    http_ports: tuple[int, ...],
    site: Site,
    upstream: Upstream,
) -> tuple[Resource, ...]:
    """Return a workload's own resources; `served` are its ports that Services lead to."""
    dns_port = site.forward_port if workload.include else site.dns_port
    resolving = dns.cluster(naming.workload_listener(workload.name, naming.DNS), dns_port)
    ports = sorted(served)
    inner = (listeners.inbound(workload.name, port) for port in ports)
    into = (clusters.into_pod(workload.name, workload.netns, port) for port in ports)
    own = listeners.workload(workload, upstream.settings, site.log, http_ports)
    return (resolving, *own, *inner, *into)
