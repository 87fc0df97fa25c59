"""Where calls go: a cluster for each port of each declared service, and for each way of reaching it.

TLS is verified, chain and name, unless a resource says otherwise in so many words.
"""

from collections.abc import Iterable, Iterator

from outgate.model.destinations import Destination, Endpoint, External, Internal, Port
from outgate.model.names import Name
from outgate.traffic.upstream import Breakers, Pool
from outgate.xds import (
    building,
    dynamic,
    endpoints,
    inner,
    naming,
    originating,
    proxying,
    resilience,
)
from outgate.xds import extensions as ext
from outgate.xds.endpoints import Upstream
from outgate.xds.failovers import failovers, mirrors
from outgate.xds.snapshot import Resource

__all__ = [
    "Upstream",
    "alias",
    "cluster",
    "external",
    "fallbacks",
    "internal",
    "into_pod",
    "shared",
    "to_pods",
    "to_port",
]


def external(service: External, upstream: Upstream) -> tuple[Resource, ...]:
    """Return the clusters of an external service's HTTP ports, and what they lead through; `finding` has others'."""
    made = (
        each
        for port in service.ports
        if port.is_http
        for each in to_port(naming.http_cluster(service.name, port.number), service, port, upstream)
    )
    return (*made, *fallbacks(service, upstream))


def fallbacks(service: External, upstream: Upstream) -> Iterator[Resource]:
    """Yield the clusters of a service's backends that others stand in for, with those others, and of its mirrors."""
    several = list(mirrors(service))
    for made, members in failovers(service):
        yield made
        several += members
    for name, other, port in several:
        message = cluster(name, other, port, upstream)
        for group in message.load_assignment.endpoints:
            for each in group.lb_endpoints:
                # What a call that comes here has in its Host. A proxy on the way is asked for it, so that it stays.
                if not each.endpoint.hostname:
                    each.endpoint.hostname = originating.authority(other.host, port)
        # Not on demand, as neither a cluster of clusters nor a mirror fetches them.
        yield building.cluster(message)
        yield from proxying.resources(name, other, port, upstream)


def to_port(name: str, service: External, port: Port, upstream: Upstream) -> tuple[Resource, ...]:
    """Return the cluster `name` that leads to a port of an external service, and what it leads through.

    Only that of an HTTP port may come on demand: a connection that is not HTTP cannot wait for its cluster.
    """
    made = building.cluster(cluster(name, service, port, upstream), on_demand=port.is_http)
    return (made, *proxying.resources(name, service, port, upstream))


def cluster(name: str, service: External, port: Port, upstream: Upstream) -> ext.cluster.Cluster:
    """Return one cluster to a port of an external service: all that is said of the port holds for it."""
    said, tls = port.upstream, originating.of(port)
    pool = said.pool or Pool()
    message = ext.cluster.Cluster(name=name)
    timeout = (
        upstream.settings.connect_timeout if pool.connect_timeout is None else pool.connect_timeout
    )
    message.connect_timeout.FromMilliseconds(int(timeout * 1000))
    if said.proxy is not None:
        proxying.find(message, service, port, upstream)
    elif endpoints.is_dynamic(service, port):
        dynamic.find(message, service, port, tls, upstream)
    else:
        endpoints.find(message, endpoints.of(service, port), port, upstream)
    _guard_against_failure(message, service, port)
    inner.describe(message, service.name, service.source)
    if port.is_http:
        resilience.speak(message, port.protocol, tls, pool, asked=service.is_wildcard)
    if tls is not None:
        originating.originate(message, service, tls, upstream.ca_file)
    if said.proxy is not None:
        proxying.join(message, service, port)
    else:
        endpoints.mark(message, port, upstream)
    resilience.keep_alive(message, pool)
    return message


def _guard_against_failure(message: ext.cluster.Cluster, service: External, port: Port) -> None:
    said = port.upstream
    resilience.limit(message, said.breakers or Breakers())
    if said.balancing is not None and not message.lb_policy:
        resilience.balance(message, said.balancing)
    levels = {each.priority for each in said.endpoints or ()}
    if said.outlier is not None:
        resilience.eject(message, said.outlier)
    elif len(levels) > 1 and said.health is None:
        resilience.eject(message, resilience.FALLING_BACK)
    if said.health is not None:
        tls = originating.of(port)
        resilience.check(message, said.health, service.host, port.protocol, tls)


def internal(service: Internal) -> tuple[Resource, ...]:
    """Return the clusters of the HTTP ports of a service that pods serve."""
    resources: list[Resource] = []
    for port, chosen in zip(service.ports, service.endpoints, strict=True):
        if port.is_http:
            name = naming.http_cluster(service.name, port.number)
            message = to_pods(name, service, chosen)
            resilience.speak(message, port.protocol)
            resources.append(building.cluster(message, on_demand=True))
    return tuple(resources)


def to_pods(name: str, service: Internal, chosen: Iterable[Endpoint]) -> ext.cluster.Cluster:
    """Return a cluster of which each endpoint is the way into one pod's namespace."""
    targets = (naming.inbound(each.pod, each.port) for each in chosen)
    message = inner.to_listeners(name, targets)
    inner.describe(message, service.name)
    return message


def alias(name: str, service: Destination, listener: str) -> ext.cluster.Cluster:
    """Return the way on into an inner listener, where a connection to a service is told apart further."""
    message = inner.to_listeners(name, (listener,))
    source = service.source if isinstance(service, External) else ""
    inner.describe(message, service.name, source)
    return message


def shared() -> tuple[Resource, ...]:
    """Return the clusters that lead to the egress Envoy's own inner listeners, and the one that leads nowhere."""
    deny = ext.cluster.Cluster(name=naming.DENY, type=ext.cluster.Cluster.STATIC)
    deny.load_assignment.cluster_name = naming.DENY
    own = (
        inner.to_listeners(naming.internal_cluster(name), (name,))
        for name in (naming.CAPTURE, naming.RAW, naming.LATE)
    )
    return tuple(building.cluster(each) for each in (deny, *own))


def into_pod(pod: Name, netns: str, port: int) -> Resource:
    """Return the cluster that connects to a server's loopback port from inside its own namespace."""
    name = naming.inbound(pod, port)
    message = inner.static(name)
    endpoint = message.load_assignment.endpoints.add().lb_endpoints.add().endpoint
    endpoint.address.socket_address.address = "127.0.0.1"
    endpoint.address.socket_address.port_value = port
    source = message.upstream_bind_config.source_address
    source.address = "127.0.0.1"
    source.port_value = 0
    source.network_namespace_filepath = netns
    return building.cluster(message)
