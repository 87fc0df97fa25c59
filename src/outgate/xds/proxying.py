"""A proxy on the way to the outside: connections go to it, and ask it with HTTP CONNECT for the name to be reached.

So the proxy resolves names, and TLS, pools and health checks are those of the destination, with the proxy unseen. The
transport socket that does so must have the proxy as an address: one that is known by its name is reached through an
inner listener, which has a cluster that resolves it.

A wildcard's endpoint is the name in each call (`naming.STATE_ASKED`), and there the inner listener itself asks.
"""

from dataclasses import replace

from outgate.model.destinations import External, Port
from outgate.traffic import upstream as traffic
from outgate.traffic.upstream import Breakers, Endpoint, Proxy, ProxyKind
from outgate.xds import building, endpoints, inner, naming, resilience
from outgate.xds import extensions as ext
from outgate.xds.building import seconds, typed
from outgate.xds.endpoints import Upstream
from outgate.xds.snapshot import Resource

_ADDRESS = "envoy.http11_proxy_transport_socket.proxy_address"
_UNUSED = 240 << 24
"""Addresses of endpoints that the proxy knows by name; nobody can be there, as the guard refuses the range."""


def find(message: ext.cluster.Cluster, service: External, port: Port, upstream: Upstream) -> None:
    """Let a cluster's connections go through the port's proxy, and nowhere if Envoy does not speak its protocol."""
    message.type = ext.cluster.Cluster.STATIC
    message.load_assignment.cluster_name = message.name
    proxy = _usable(port)
    if proxy is None:
        return
    listener = naming.proxied(message.name)
    if endpoints.is_dynamic(service, port):
        one = message.load_assignment.endpoints.add().lb_endpoints.add()
        one.endpoint.address.envoy_internal_address.server_listener_name = listener
        return
    endpoints.assign(message, endpoints.of(service, port), port)
    place = ext.address.Address()
    if endpoints.is_address(proxy.host):
        place.socket_address.address, place.socket_address.port_value = proxy.host, proxy.port
        endpoints.mark(message, port, upstream)
    else:
        place.envoy_internal_address.server_listener_name = listener
    each = [one for group in message.load_assignment.endpoints for one in group.lb_endpoints]
    for index, one in enumerate(each):
        address = one.endpoint.address.socket_address
        if not endpoints.is_address(address.address):
            one.endpoint.hostname = address.address
            address.address = ".".join(map(str, (_UNUSED + index).to_bytes(4)))
        one.metadata.typed_filter_metadata[_ADDRESS].CopyFrom(building.pack(place))


def _usable(port: Port) -> Proxy | None:
    proxy = port.upstream.proxy
    return proxy if proxy is not None and proxy.kind is ProxyKind.HTTP else None


def join(message: ext.cluster.Cluster, service: External, port: Port) -> None:
    """Let a cluster's own transport socket, such as TLS, begin where the proxy has connected to the endpoint."""
    if endpoints.is_dynamic(service, port):
        inner.join(message)
        return
    config = ext.http_11_proxy.Http11ProxyUpstreamTransport()
    inner.carry(message, config.transport_socket)
    message.transport_socket.name = "envoy.transport_sockets.http_11_proxy"
    message.transport_socket.typed_config.CopyFrom(building.pack(config))


def resources(
    cluster: str, service: External, port: Port, upstream: Upstream
) -> tuple[Resource, ...]:
    """Return the inner listener and the cluster by which a cluster reaches a proxy that has no address, or is asked."""
    proxy = _usable(port)
    asks = endpoints.is_dynamic(service, port)
    if proxy is None or (endpoints.is_address(proxy.host) and not asks):
        return ()
    name = naming.proxied(cluster)
    message = _cluster(name, port, proxy, upstream)
    inner.describe(message, service.name)
    return (_listener(name, upstream, asks=asks), building.cluster(message))


def _listener(name: str, upstream: Upstream, *, asks: bool) -> Resource:
    asked = {"hostname": f"%FILTER_STATE({naming.STATE_ASKED}:PLAIN)%"}
    proxy = typed(
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix="proxy",
        cluster=name,
        idle_timeout=seconds(upstream.settings.idle_timeout * 12),
        **({"tunneling_config": asked} if asks else {}),
    )
    filters = [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]
    return building.listener(
        {"name": name, "internal_listener": {}, "filter_chains": [{"filters": filters}]}
    )


def _cluster(name: str, port: Port, proxy: Proxy, upstream: Upstream) -> ext.cluster.Cluster:
    message = ext.cluster.Cluster(name=name)
    message.connect_timeout.FromMilliseconds(int(upstream.settings.connect_timeout * 1000))
    plain = replace(port, upstream=traffic.Upstream())
    endpoints.find(message, (Endpoint(proxy.host, proxy.port),), plain, upstream)
    endpoints.mark(message, port, upstream)
    resilience.keep_alive(message, resilience.DEFAULT_POOL)
    resilience.limit(message, Breakers())
    return message
