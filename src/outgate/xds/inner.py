"""Clusters whose endpoints are Envoy's own inner listeners, and what all clusters of ours begin with."""

from collections.abc import Iterable

from outgate.model.names import Name
from outgate.xds import building, naming
from outgate.xds import extensions as ext
from outgate.xds.bootstraps import BUFFER_BYTES

_PLAIN = {
    "name": "envoy.transport_sockets.raw_buffer",
    "typed_config": building.typed("extensions.transport_sockets.raw_buffer.v3.RawBuffer"),
}


def static(name: str) -> ext.cluster.Cluster:
    """Return a cluster whose endpoints are written out, and which has none yet."""
    message = ext.cluster.Cluster(name=name, type=ext.cluster.Cluster.STATIC)
    message.connect_timeout.FromSeconds(1)
    message.load_assignment.cluster_name = name
    message.per_connection_buffer_limit_bytes.value = BUFFER_BYTES
    return message


def to_listeners(name: str, listeners: Iterable[str]) -> ext.cluster.Cluster:
    """Return a cluster with an endpoint for each inner listener."""
    message = static(name)
    group = message.load_assignment.endpoints.add()
    for index, target in enumerate(listeners):
        place = group.lb_endpoints.add().endpoint.address.envoy_internal_address
        place.server_listener_name = target
        place.endpoint_id = str(index)
    join(message)
    return message


def join(message: ext.cluster.Cluster) -> None:
    """Let a cluster's connections enter inner listeners."""
    config = ext.internal_upstream.InternalUpstreamTransport()
    carry(message, config.transport_socket)
    message.transport_socket.name = "envoy.transport_sockets.internal_upstream"
    message.transport_socket.typed_config.CopyFrom(building.pack(config))


def carry(message: ext.cluster.Cluster, inside: ext.base.TransportSocket) -> None:
    """Put a cluster's transport socket, TLS or none, inside of another one."""
    if message.HasField("transport_socket"):
        inside.CopyFrom(message.transport_socket)
    else:
        building.parse(_PLAIN, inside)


def describe(message: ext.cluster.Cluster, service: Name, resource: str = "") -> None:
    """Name the service for the log, and the resource that declares it."""
    described = {"service": str(service)} | ({"resource": resource} if resource else {})
    message.metadata.filter_metadata[naming.METADATA].update(described)
