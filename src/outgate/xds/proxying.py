"""A proxy on the way to the outside: an inner listener asks it, with HTTP CONNECT, for the name that is to be reached.

So the proxy resolves names, and TLS, pools and health checks are those of the destination, with the proxy unseen.
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


def find(message: ext.cluster.Cluster, service: External, port: Port) -> None:
    """Let a cluster's connections go through the port's proxy, and to nobody where Envoy cannot speak to that."""
    proxy = port.upstream.proxy
    if proxy is None or proxy.kind is not ProxyKind.HTTP:
        message.type = ext.cluster.Cluster.STATIC
        message.load_assignment.cluster_name = message.name
        return
    chosen = endpoints.of(service, port)
    endpoints.through(message, chosen, port, naming.proxied(service.name, port.number))


def resources(service: External, port: Port, upstream: Upstream) -> tuple[Resource, ...]:
    """Return the inner listener that asks the proxy, and the cluster that is the proxy; nothing without one."""
    proxy = port.upstream.proxy
    if proxy is None or proxy.kind is not ProxyKind.HTTP:
        return ()
    return (_listener(service, port, upstream), _cluster(service, port, proxy, upstream))


def _listener(service: External, port: Port, upstream: Upstream) -> Resource:
    name = naming.proxied(service.name, port.number)
    dynamic = endpoints.is_dynamic(service, port)
    asked = f"%FILTER_STATE({naming.STATE_ASKED}:PLAIN)%"
    written = f"%DYNAMIC_METADATA({inner.TUNNEL}:address)%"
    proxy = typed(
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix="proxy",
        cluster=name,
        idle_timeout=seconds(upstream.settings.idle_timeout * 12),
        tunneling_config={"hostname": asked if dynamic else written},
    )
    filters = [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]
    return building.listener(
        {"name": name, "internal_listener": {}, "filter_chains": [{"filters": filters}]}
    )


def _cluster(service: External, port: Port, proxy: Proxy, upstream: Upstream) -> Resource:
    message = ext.cluster.Cluster(name=naming.proxied(service.name, port.number))
    message.connect_timeout.FromMilliseconds(int(upstream.settings.connect_timeout * 1000))
    plain = replace(port, upstream=traffic.Upstream())
    endpoints.find(message, (Endpoint(proxy.host, proxy.port),), plain, upstream)
    endpoints.mark(message, port, upstream)
    resilience.keep_alive(message, resilience.DEFAULT_POOL)
    resilience.limit(message, Breakers())
    inner.describe(message, service.name)
    return building.cluster(message)
