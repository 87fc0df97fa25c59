"""Failover between destinations: a cluster of clusters, of which the first that is well is used; and mirrors.

Those are copies of the destinations' own, so that they are there whenever the first is called, and see what fails.
"""

from collections.abc import Iterator
from dataclasses import replace

from outgate.model import peers
from outgate.model.destinations import External, Peer, Port
from outgate.model.names import Name
from outgate.traffic.routing import Backend
from outgate.xds import building, inner, naming
from outgate.xds import extensions as ext
from outgate.xds.resilience import FALLING_BACK
from outgate.xds.snapshot import Resource

Member = tuple[str, External, Port]
"""The name of a cluster, and where it leads."""


def members(backend: Backend, port: int) -> tuple[tuple[Name, int], ...]:
    """Return a backend and what is used as it fails, in order, as a rule names them; `port` is the one called."""
    targets = (backend.target, *backend.failover)
    return tuple((Name(each.namespace, each.name), each.port or port) for each in targets)


def failovers(service: External) -> tuple[tuple[Resource, tuple[Member, ...]], ...]:
    """Return a cluster for each backend of a service's rules that has others to fall back to, and what is in it.

    Others that are not there are left out; without the backend itself there is nothing to fall back from.
    """
    found: dict[str, tuple[Member, ...]] = {}
    for port in service.ports:
        for backend in _backends(service, port):
            name = naming.failover(service.name, members(backend, port.number))
            if name not in found and (chosen := _chain(service, backend, port)):
                found[name] = tuple(_member(name, index, each) for index, each in enumerate(chosen))
    return tuple((_cluster(name, service.name, each), each) for name, each in found.items())


def _backends(service: External, port: Port) -> Iterator[Backend]:
    for rule in service.rules if port.is_http else ():
        if not rule.ports or port.number in rule.ports:
            yield from (each for each in rule.backends if each.failover)


def _chain(service: External, backend: Backend, port: Port) -> tuple[Peer, ...]:
    targets = (backend.target, *backend.failover)
    found = [peers.find(service, each, port.number) for each in targets]
    return () if found[0] is None else tuple(each for each in found if each is not None)


def mirrors(service: External) -> tuple[Member, ...]:
    """Return the clusters to which copies of a service's calls go: Envoy fetches none for them."""
    found: dict[str, Member] = {}
    for port in service.ports:
        for rule in service.rules if port.is_http else ():
            for mirror in rule.mirrors if not rule.ports or port.number in rule.ports else ():
                if (peer := peers.find(service, mirror.target, port.number)) is not None:
                    name = naming.mirror(service.name, peer.name, peer.port.number)
                    found[name] = name, External(peer.name, peer.host, (peer.port,)), peer.port
    return tuple(found.values())


def _member(name: str, index: int, peer: Peer) -> Member:
    said = peer.port.upstream
    if said.outlier is None and said.health is None:
        said = replace(said, outlier=FALLING_BACK)
    port = replace(peer.port, upstream=said)
    return f"{name}|{index}", External(peer.name, peer.host, (port,)), port


def _cluster(name: str, owner: Name, chosen: tuple[Member, ...]) -> Resource:
    message = ext.cluster.Cluster(name=name, lb_policy=ext.cluster.Cluster.CLUSTER_PROVIDED)
    message.connect_timeout.FromSeconds(1)
    config = ext.aggregate.ClusterConfig()
    config.clusters.extend(each for each, _, _ in chosen)
    message.cluster_type.name = "envoy.clusters.aggregate"
    message.cluster_type.typed_config.CopyFrom(building.pack(config))
    inner.describe(message, owner)
    return building.cluster(message)
