"""Where calls go: a cluster for each port of each declared service, and for each way of reaching it.

TLS is verified, chain and name, unless a resource says otherwise in so many words.
"""

from outgate.model.addresses import Address
from outgate.model.destinations import Destination, External, Internal, Port
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
from outgate.xds.failovers import failovers
from outgate.xds.snapshot import Resource

__all__ = [
    "Upstream",
    "cluster",
    "external",
    "internal",
    "into_pod",
    "late_alias",
    "shared",
    "to_port",
]


def external(service: External, address: Address, upstream: Upstream) -> tuple[Resource, ...]:
    """Return the clusters of an external service, and what they lead through."""
    resources: list[Resource] = []
    for port in service.ports:
        if port.is_http:
            name = naming.http_cluster(service.name, port.number)
            resources += to_port(name, service, port, upstream)
        for name in _raw_names(service, address, port):
            if port.is_http:
                resources.append(building.cluster(late_alias(name, service.name)))
            else:
                resources += to_port(name, service, port, upstream)
    return (*resources, *failovers(service))


def to_port(name: str, service: External, port: Port, upstream: Upstream) -> tuple[Resource, ...]:
    """Return the cluster `name` that leads to a port of an external service, and what it leads through.

    Only that of an HTTP port may come on demand: a connection that is not HTTP cannot wait for its cluster.
    """
    made = building.cluster(cluster(name, service, port, upstream), on_demand=port.is_http)
    return (made, *proxying.resources(service, port, upstream))


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
    inner.describe(message, service.name)
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


def _raw_names(service: Destination, address: Address, port: Port) -> tuple[str, ...]:
    """Return the clusters by which connections to a port are found by address: none where all ports are HTTP."""
    if not service.has_raw_port:
        return ()
    return tuple(naming.raw_cluster(ip, port.number) for ip in (address.ipv4, address.ipv6))


def internal(service: Internal, address: Address) -> tuple[Resource, ...]:
    """Return the clusters of a service that pods serve: each endpoint is the way into one pod's namespace."""
    resources: list[Resource] = []
    for port, chosen in zip(service.ports, service.endpoints, strict=True):
        targets = tuple(naming.inbound(each.pod, each.port) for each in chosen)
        if port.is_http:
            message = inner.to_listeners(naming.http_cluster(service.name, port.number), targets)
            inner.describe(message, service.name)
            resilience.speak(message, port.protocol)
            resources.append(building.cluster(message, on_demand=True))
        for name in _raw_names(service, address, port):
            message = (
                late_alias(name, service.name)
                if port.is_http
                else inner.to_listeners(name, targets)
            )
            inner.describe(message, service.name)
            resources.append(building.cluster(message))
    return tuple(resources)


def late_alias(name: str, service: Name) -> ext.cluster.Cluster:
    """Return the way back into the pipeline for an HTTP port of a service that has a plain TCP port too."""
    message = inner.to_listeners(name, (naming.LATE,))
    inner.describe(message, service)
    return message


def shared() -> tuple[Resource, ...]:
    """Return the clusters that lead to the egress Envoy's own inner listeners, and the one that leads nowhere."""
    deny = ext.cluster.Cluster(name=naming.DENY, type=ext.cluster.Cluster.STATIC)
    deny.load_assignment.cluster_name = naming.DENY
    own = (
        inner.to_listeners(naming.internal_cluster(name), (name,))
        for name in (naming.CAPTURE, naming.RAW)
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
