"""Clusters whose endpoints are Envoy's own inner listeners, and what all clusters of ours begin with."""

from collections.abc import Iterable

from outgate.model.names import Name
from outgate.xds import building, naming
from outgate.xds import extensions as ext
from outgate.xds.bootstraps import BUFFER_BYTES

TUNNEL = "outgate.tunnel"
"""Metadata of an endpoint that a proxy on the way leads to: where the inner listener asks that proxy to connect."""
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
        place(group.lb_endpoints.add().endpoint, target, index)
    join(message)
    return message


def place(endpoint: ext.endpoints.Endpoint, listener: str, index: int) -> None:
    """Let an endpoint be an inner listener; `index` tells those of one listener apart."""
    inner = endpoint.address.envoy_internal_address
    inner.server_listener_name = listener
    inner.endpoint_id = str(index)


def join(message: ext.cluster.Cluster, *, tunnelled: bool = False) -> None:
    """Let a cluster's connections enter inner listeners, with its own transport socket, such as TLS, inside.

    With `tunnelled` they take with them where the endpoint says they are to be led.
    """
    config = ext.internal_upstream.InternalUpstreamTransport()
    if tunnelled:
        taken = config.passthrough_metadata.add(name=TUNNEL)
        taken.kind.host.SetInParent()
    if message.HasField("transport_socket"):
        config.transport_socket.CopyFrom(message.transport_socket)
    else:
        building.parse(_PLAIN, config.transport_socket)
    message.transport_socket.name = "envoy.transport_sockets.internal_upstream"
    message.transport_socket.typed_config.CopyFrom(building.pack(config))


def describe(message: ext.cluster.Cluster, service: Name) -> None:
    """Name the service for the log."""
    message.metadata.filter_metadata[naming.METADATA].update({"service": str(service)})
