"""Clusters of wildcards: the endpoint of each call is the name that it asks for, resolved when it is first asked for.

A filter (`dynamic_forward_proxy` of HTTP, `sni_dynamic_forward_proxy` of TLS) waits for the name, and must have the
same cache as the cluster.
"""

from outgate.model.destinations import External, Port
from outgate.traffic.upstream import Tls
from outgate.xds import building, naming
from outgate.xds import extensions as ext
from outgate.xds.endpoints import DNS_REFRESH_SECONDS, Upstream, resolver

MAX_NAMES = 1024
"""Names below one wildcard at a time; who asks for more is refused until others are forgotten."""
IDLE_SECONDS = 300
"""How long a name is kept that nobody calls."""
RESOLVE_SECONDS = 5
"""How long a call waits for its name."""


def cache(service: External, port: Port, upstream: Upstream) -> ext.dns_cache.DnsCacheConfig:
    """Return the cache of a port's names, for the cluster and for the filter in front of it."""
    config = ext.dns_cache.DnsCacheConfig(name=naming.names_asked(service.name, port.number))
    config.dns_lookup_family = ext.cluster.Cluster.ALL
    config.dns_refresh_rate.FromSeconds(DNS_REFRESH_SECONDS)
    config.dns_failure_refresh_rate.base_interval.FromSeconds(1)
    config.dns_failure_refresh_rate.max_interval.FromSeconds(10)
    config.dns_query_timeout.FromSeconds(RESOLVE_SECONDS)
    config.host_ttl.FromSeconds(IDLE_SECONDS)
    config.max_hosts.value = MAX_NAMES
    config.typed_dns_resolver_config.name = "envoy.network.dns_resolver.cares"
    config.typed_dns_resolver_config.typed_config.CopyFrom(
        building.pack(resolver(upstream.resolvers))
    )
    return config


def find(
    message: ext.cluster.Cluster, service: External, port: Port, tls: Tls | None, upstream: Upstream
) -> None:
    """Let a cluster's endpoint be the name in each call."""
    config = ext.dynamic_cluster.ClusterConfig()
    config.dns_cache_config.CopyFrom(cache(service, port, upstream))
    # By Envoy's measure: there is no TLS here, or the resource says whom to ask for and whom to find there.
    config.allow_insecure_cluster_options = tls is None or bool(
        tls.sni or tls.names or not tls.verify
    )
    message.lb_policy = ext.cluster.Cluster.CLUSTER_PROVIDED
    message.cluster_type.name = "envoy.clusters.dynamic_forward_proxy"
    message.cluster_type.typed_config.CopyFrom(building.pack(config))
