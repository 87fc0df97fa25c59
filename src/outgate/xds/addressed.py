"""Calls by address: what a resource says may be called by the addresses in some networks goes to those very addresses.

All such connections go through one inner listener, in which they are told apart by network, port and the caller's
namespace: so no listener of a workload changes with them, but for the networks that lead here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from outgate.model.destinations import External, Port
from outgate.model.names import Name
from outgate.traffic.references import Network, Protocol
from outgate.traffic.special import REFUSED
from outgate.traffic.upstream import Resolution
from outgate.xds import building, clusters, denials, http, inner, naming, pipeline, routes
from outgate.xds.clusters import Upstream
from outgate.xds.policing import facts
from outgate.xds.policing.filters import ADDRESS, of_connections
from outgate.xds.snapshot import Resource

SNIFF_SECONDS = 0.02
"""How long a client is waited for here, after the listener before has waited for it already."""


def by_address(service: External) -> External:
    """Return a destination as those see it who call one of its addresses: there is nothing but that to choose."""
    ports = tuple(_port(each, service.networks) for each in service.ports)
    name = Name(service.name.namespace, f"{service.name.name}@address")
    return replace(service, name=name, ports=ports, rules=(), peers=())


def _port(port: Port, networks: Iterable[Network]) -> Port:
    refused = {each for each in networks if any(_overlap(each, other) for other in REFUSED)}
    private = tuple(sorted({*(port.upstream.private or ()), *refused}, key=str))
    said = replace(
        port.upstream,
        resolution=Resolution.ADDRESS,
        endpoints=None,
        balancing=None,
        outlier=None,
        health=None,
        proxy=None,
        private=private or None,
    )
    return replace(port, upstream=said)


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def networks(destinations: Iterable[External]) -> tuple[Network, ...]:
    """Return all networks that lead here, sorted."""
    return tuple(sorted({each for one in destinations for each in one.networks}, key=str))


def resources(
    destinations: Iterable[External], log: str, upstream: Upstream
) -> tuple[Resource, ...]:
    """Return the inner listener, and what it leads to; nothing where nothing is called by address.

    Of the hosts of one resource the first will do: they are called by the same addresses.
    """
    called = [by_address(each) for each in _ordered(destinations)]
    if not called:
        return ()
    names = (naming.ADDRESS, naming.ADDRESS_LATE)
    ways = (inner.to_listeners(naming.internal_cluster(each), (each,)) for each in names)
    made = [building.cluster(each) for each in ways]
    for each in called:
        for port in each.ports:
            found = clusters.to_port(cluster(each, port), each, port, upstream)
            made += (replace(one, on_demand=False) for one in found)
        if (routed := routes.addressed(each)) is not None:
            made.append(routed)
    return (*made, *(_listener(called, log, upstream, late=late) for late in (False, True)))


def _ordered(destinations: Iterable[External]) -> list[External]:
    last = sorted(destinations, key=lambda each: each.name, reverse=True)
    several = {(each.name.namespace, each.source or str(each.name)): each for each in last}
    return sorted(several.values(), key=_rank)


def find(
    destinations: Iterable[External], address: naming.IpAddress, namespace: str, port: int
) -> External | None:
    """Return what callers of a namespace call by an address, as the inner listener finds it; any port, if not this."""
    seen = [
        each
        for each in _ordered(destinations)
        if each.seen_from(namespace) and any(address in one for one in each.networks)
    ]
    seen.sort(key=lambda each: each.name.namespace != namespace)
    on_port = (each for each in seen if any(one.number == port for one in each.ports))
    return next(on_port, seen[0] if seen else None)


def _rank(service: External) -> tuple[str, str, Name]:
    return service.created, service.source, service.name


def cluster(service: External, port: Port) -> str:
    """Return the cluster of a port of what `by_address` gives, and the chain that leads there."""
    if port.is_http:
        return naming.http_cluster(service.name, port.number)
    return f"address|{service.name}|{port.number}"


def _listener(called: list[External], log: str, upstream: Upstream, *, late: bool) -> Resource:
    """Return the listener that all calls by address enter, or the one to which those go on that are to be TLS."""
    settings = upstream.settings
    chains = [
        {"name": cluster(each, port), "filters": _filters(each, port, log, upstream)}
        for each in called
        for port in each.ports
    ]
    own = (each for service in called for each in _matchers(service, own=True))
    others = (each for service in called for each in _matchers(service, own=False))
    refused = pipeline.chains(settings, log, denials.TUNNELLED)
    found = [*own, *others]
    if not late:
        onward = naming.internal_cluster(naming.ADDRESS_LATE)
        filters = pipeline.connection_chain(settings, log, denials.TUNNELLED, cluster=onward)
        chains.append({"name": "late", "filters": filters})
        found += [each for service in called for each in _silent(service)]
    found += refused["filter_chain_matcher"]["matcher_list"]["matchers"]
    return building.listener(
        {
            "name": naming.ADDRESS_LATE if late else naming.ADDRESS,
            "internal_listener": {},
            **pipeline.sniffing(pipeline.LATE_SNIFF_SECONDS if late else SNIFF_SECONDS),
            **refused,
            "filter_chains": [*chains, *refused["filter_chains"]],
            "filter_chain_matcher": {"matcher_list": {"matchers": found}},
        }
    )


def _silent(service: External) -> Iterator[dict[str, Any]]:
    """Yield what has connections wait that say nothing yet, on ports where they are to begin TLS."""
    for port in service.ports:
        if port.protocol is Protocol.TLS:
            yield pipeline.matched("late", pipeline.every(_called(service, port)))


def _called(service: External, port: Port) -> list[dict[str, Any]]:
    return [pipeline.on_port(port.number), pipeline.in_ranges("address", service.networks)]


def _matchers(service: External, *, own: bool) -> Iterator[dict[str, Any]]:
    """Yield what leads to a service's chains: for callers of its own namespace, or else for all that see it."""
    for port in service.ports:
        said = _called(service, port)
        if own:
            said.append(pipeline.called_from([service.name.namespace]))
        elif service.visible is not None:
            said.append(pipeline.called_from(sorted(service.visible | {service.name.namespace})))
        if port.protocol is Protocol.TLS:
            said.append(pipeline.IS_TLS)
        elif port.is_http:
            said.append({"not_matcher": pipeline.IS_TLS})
        yield pipeline.matched(cluster(service, port), pipeline.every(said))


def _filters(service: External, port: Port, log: str, upstream: Upstream) -> list[dict[str, Any]]:
    settings, caller = upstream.settings, denials.TUNNELLED
    if port.is_http:
        named = naming.wildcard(service.name)
        return http.chain(settings, log, caller, pipeline.LATE_IDLE_SECONDS, named)
    if port.protocol is Protocol.TLS:
        said, kind = denials.tls_log(log, caller), "tls"
    else:
        said, kind = denials.connection_log(log, caller), "tcp"
    # What is called is known here only, so it is here that policies decide.
    known = pipeline.setting(
        pipeline.state(naming.STATE_CLUSTER, cluster(service, port), shared=False),
        pipeline.state(naming.STATE_RESOURCE, facts.callee(service), shared=False),
    )
    return [known, *of_connections(ADDRESS), pipeline.tcp_proxy(settings, kind, said)]
