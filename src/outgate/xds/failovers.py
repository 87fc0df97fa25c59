"""Failover between destinations: a cluster of clusters, of which the first that is well is used."""

from collections.abc import Iterator

from outgate.model.destinations import External, Port
from outgate.model.names import Name
from outgate.traffic.routing import Backend
from outgate.xds import building, inner, naming
from outgate.xds import extensions as ext
from outgate.xds.snapshot import Resource


def members(backend: Backend, port: int) -> tuple[tuple[Name, int], ...]:
    """Return a backend and what is used as it fails, in order: destinations with their ports, for a call to `port`."""
    targets = (backend.target, *backend.failover)
    return tuple((Name(each.namespace, each.name), each.port or port) for each in targets)


def failovers(service: External) -> tuple[Resource, ...]:
    """Return a cluster for each backend of a service's rules that has others to fall back to."""
    found = {
        naming.failover(service.name, chosen): chosen
        for port in service.ports
        if port.is_http
        for backend in _backends(service, port)
        if len(chosen := members(backend, port.number)) > 1
    }
    return tuple(
        building.cluster(_cluster(name, service.name, chosen), on_demand=True)
        for name, chosen in found.items()
    )


def relied_on(service: External) -> frozenset[Name]:
    """Return the destinations whose clusters must be there, and must see when they fail, for those of a service."""
    return frozenset(
        name
        for port in service.ports
        if port.is_http
        for backend in _backends(service, port)
        if backend.failover
        for name, _ in members(backend, port.number)
    )


def _backends(service: External, port: Port) -> Iterator[Backend]:
    for rule in service.rules:
        if not rule.ports or port.number in rule.ports:
            yield from rule.backends


def _cluster(name: str, owner: Name, chosen: tuple[tuple[Name, int], ...]) -> ext.cluster.Cluster:
    message = ext.cluster.Cluster(name=name, lb_policy=ext.cluster.Cluster.CLUSTER_PROVIDED)
    message.connect_timeout.FromSeconds(1)
    config = ext.aggregate.ClusterConfig()
    config.clusters.extend(naming.http_cluster(each, port) for each, port in chosen)
    message.cluster_type.name = "envoy.clusters.aggregate"
    message.cluster_type.typed_config.CopyFrom(building.pack(config))
    inner.describe(message, owner)
    return message
