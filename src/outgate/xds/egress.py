"""The egress Envoy's whole configuration, as a value that a change turns into the next one.

A change costs what it touches: what other services serialised to is shared, and the DNS table is joined from parts.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from outgate.model.addresses import SHARED, Allocation, holder
from outgate.model.destinations import Destination, External
from outgate.model.names import Name
from outgate.model.workloads import Workload
from outgate.traffic.references import Protocol
from outgate.xds import (
    addressed,
    clusters,
    dns,
    listeners,
    naming,
    pipeline,
    programming,
    routes,
    tunnels,
)
from outgate.xds.clusters import Upstream
from outgate.xds.holding import Holder
from outgate.xds.pipeline import NOTHING, Known
from outgate.xds.programming import Made, Scopes, Surroundings
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
    """What is programmed for the destinations: addresses, serialised resources, and DNS records.

    A host's address, clusters and record are those of its `addresses.holder`, whoever declares it.
    """

    allocation: Allocation = field(default_factory=Allocation)
    destinations: Mapping[Name, Destination] = field(default_factory=lambda: MappingProxyType({}))
    holders: Mapping[Name, Holder] = field(default_factory=lambda: MappingProxyType({}))
    resources: Made = field(default_factory=lambda: MappingProxyType({}))
    """Clusters and inner listeners, by holder."""
    scopes: Scopes = field(default_factory=Scopes)
    records: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    ports: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    """Numbers of ports at which the client speaks first, and how many destinations have each."""
    namespaces: frozenset[str] = frozenset()
    by_address: Mapping[Name, External] = field(default_factory=lambda: MappingProxyType({}))
    """Those that may be called by address."""
    at_addresses: tuple[Resource, ...] = ()
    """What is there for those."""

    @property
    def known(self) -> Known:
        """What listeners know of all of them."""
        return Known(tuple(sorted(self.ports)), addressed.networks(self.by_address.values()))


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
        listeners.capture(upstream.settings, site.log, NOTHING, site.sniff),
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


@dataclass(frozen=True, slots=True)
class Callers:
    """Who may call: `namespaces` are those that callers may be in, None for those that were known before.

    `forward` tells whether there is a `forwarding` listener, which follows what is programmed.
    """

    namespaces: frozenset[str] | None = None
    forward: bool = False


ANYBODY = Callers()


def program(
    previous: Programmed,
    changed: Iterable[Destination],
    removed: Iterable[Name],
    site: Site,
    upstream: Upstream,
    callers: Callers = ANYBODY,
) -> tuple[Programmed, Delta]:
    """Return what is programmed after a change, and how the snapshot changes.

    `changed` are new and altered destinations, `removed` names that are gone; unknown names are ignored.
    """
    wanted = {each.name: each for each in changed}
    gone = tuple(name for name in removed if name in previous.destinations and name not in wanted)
    known = previous.namespaces if callers.namespaces is None else callers.namespaces
    if not wanted and not gone and known == previous.namespaces:
        return previous, Delta()
    holders, named = programming.regroup(previous.holders, wanted, gone)
    allocation, moved = programming.allocate(previous.allocation, holders, sorted(named))
    touched = named | moved
    if known != previous.namespaces:
        touched |= programming.everywhere(allocation, holders)
    ordered = _ordered(touched, wanted)
    around = Surroundings(allocation, upstream, known, site.log)
    made = programming.make(previous.resources, holders, ordered, around)
    scopes = programming.rescope(previous.scopes, holders, made, ordered, upstream.settings)
    destinations = {**previous.destinations, **wanted}
    for name in gone:
        del destinations[name]
    records = _records(previous, holders, ordered, around)
    delta = _difference(
        _resources(previous.resources, previous.scopes, ordered),
        _resources(made, scopes, ordered),
    )
    if records != previous.records:
        table = _table(records)
        tables = [*_names(site, table)]
        tables += [_forwarding(site, table)] if callers.forward else []
        delta = replace(delta, changed=(*delta.changed, *tables))
    counted = _ports(previous, wanted.values(), (*gone, *wanted))
    after = Programmed(allocation, destinations, holders, made, scopes, records, counted, known)
    after, further = _at_addresses(previous, after, (*gone, *wanted), around)
    delta = delta.and_then(further)
    if after.known != previous.known:
        tunnels_end = listeners.capture(upstream.settings, site.log, after.known, site.sniff)
        delta = replace(delta, changed=(*delta.changed, tunnels_end))
    return after, delta


def _at_addresses(
    previous: Programmed, now: Programmed, touched: Iterable[Name], around: Surroundings
) -> tuple[Programmed, Delta]:
    """Make what may be called by address anew, where any of it is touched."""
    found = dict(previous.by_address)
    for name in touched:
        found.pop(name, None)
        destination = now.destinations.get(name)
        if isinstance(destination, External) and destination.networks:
            found[name] = destination
    if found == previous.by_address:
        return replace(now, by_address=found, at_addresses=previous.at_addresses), Delta()
    made = addressed.resources(found.values(), around.log, around.upstream)
    before, after = ({key_of(each): each for each in one} for one in (previous.at_addresses, made))
    return replace(now, by_address=found, at_addresses=made), _difference(before, after)


def _ordered(touched: Iterable[Name], wanted: Iterable[Name]) -> list[Name]:
    """Put what moved first, and the rest in the order in which it was given: the first ones are eager."""
    named = list(dict.fromkeys(holder(name) for name in wanted))
    return [*sorted(set(touched) - set(named)), *named]


def _records(
    previous: Programmed,
    holders: Mapping[Name, Holder],
    touched: Iterable[Name],
    around: Surroundings,
) -> dict[str, bytes]:
    records = dict(previous.records)
    for name in touched:
        records.pop(str(name), None)
        answered = dns.name_of(name, around.upstream.settings.trust_domain)
        if name in holders and answered is not None:
            address = around.allocation.address(name) or SHARED
            records[str(name)] = dns.record(answered, address)
    return records


def _resources(made: Made, scopes: Scopes, holders: Iterable[Name]) -> dict[Key, Resource]:
    """Return all resources of some holders, and of the scopes that they are in."""
    several = list(holders)
    found = [each for name in several for each in made.get(name, ())]
    found += [
        scopes.made[key] for name in several if (key := routes.scope_key(name)) in scopes.made
    ]
    return {key_of(each): each for each in found}


def _ports(
    previous: Programmed, changed: Iterable[Destination], touched: Iterable[Name]
) -> dict[int, int]:
    counts = Counter(previous.ports)
    for name in touched:
        if (before := previous.destinations.get(name)) is not None:
            counts.subtract(_client_first(before))
    for each in changed:
        counts.update(_client_first(each))
    return {number: count for number, count in counts.items() if count > 0}


def _client_first(destination: Destination) -> Iterator[int]:
    return (port.number for port in destination.ports if port.protocol is not Protocol.TCP)


def _table(records: Mapping[str, bytes]) -> list[bytes]:
    """Put records in an order that does not depend on history; by text, as a change does it for all of them."""
    return [records[key] for key in sorted(records)]


def key_of(resource: Resource) -> Key:
    """Return a resource's identity."""
    return resource.type_url, resource.name


def _difference(before: Mapping[Key, Resource], after: Mapping[Key, Resource]) -> Delta:
    changed = tuple(each for key, each in after.items() if before.get(key) != each)
    return Delta(changed, tuple(key for key in before if key not in after))


def workload(
    workload: Workload,
    served: Iterable[int],
    known: Known,
    site: Site,
    upstream: Upstream,
) -> tuple[Resource, ...]:
    """Return a workload's own resources; `served` are its ports that Services lead to."""
    dns_port = site.forward_port if workload.include else site.dns_port
    resolving = dns.cluster(naming.workload_listener(workload.name, naming.DNS), dns_port)
    ports = sorted(served)
    inner = (listeners.inbound(workload.name, port) for port in ports)
    into = (clusters.into_pod(workload.name, workload.netns, port) for port in ports)
    own = listeners.workload(workload, upstream.settings, site.log, known)
    return (resolving, *own, *inner, *into)
