"""Loads the protobuf types of every Envoy extension in use, so that JSON forms with an `@type` can be parsed.

The names that other modules build messages with directly are re-exported; the rest are imported for registration only.
"""

from envoy.config.bootstrap.v3 import bootstrap_pb2 as bootstrap
from envoy.config.cluster.v3 import circuit_breaker_pb2 as circuit_breaker
from envoy.config.cluster.v3 import cluster_pb2 as cluster
from envoy.config.cluster.v3 import outlier_detection_pb2 as outlier
from envoy.config.core.v3 import address_pb2 as address
from envoy.config.core.v3 import base_pb2 as base
from envoy.config.core.v3 import config_source_pb2 as config_source
from envoy.config.core.v3 import extension_pb2 as extension
from envoy.config.core.v3 import health_check_pb2 as health_check
from envoy.config.core.v3 import protocol_pb2 as protocol
from envoy.config.endpoint.v3 import endpoint_components_pb2 as endpoints
from envoy.config.endpoint.v3 import endpoint_pb2 as endpoint
from envoy.config.listener.v3 import listener_pb2 as listener
from envoy.config.rbac.v3 import rbac_pb2 as rbac_action
from envoy.config.route.v3 import route_components_pb2 as route_components
from envoy.config.route.v3 import route_pb2 as route
from envoy.config.route.v3 import scoped_route_pb2 as scoped_route
from envoy.data.dns.v3 import dns_table_pb2 as dns_table
from envoy.extensions.access_loggers.file.v3 import file_pb2 as _file
from envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2 as _cel
from envoy.extensions.bootstrap.internal_listener.v3 import internal_listener_pb2 as _internal
from envoy.extensions.clusters.aggregate.v3 import cluster_pb2 as aggregate
from envoy.extensions.clusters.dns.v3 import dns_cluster_pb2 as dns_cluster
from envoy.extensions.clusters.dynamic_forward_proxy.v3 import cluster_pb2 as dynamic_cluster
from envoy.extensions.common.dynamic_forward_proxy.v3 import dns_cache_pb2 as dns_cache
from envoy.extensions.common.matching.v3 import extension_matcher_pb2 as extension_matcher
from envoy.extensions.compression.brotli.decompressor.v3 import brotli_pb2 as _brotli
from envoy.extensions.compression.gzip.decompressor.v3 import gzip_pb2 as _gzip
from envoy.extensions.filters.http.buffer.v3 import buffer_pb2 as buffer
from envoy.extensions.filters.http.composite.v3 import composite_pb2 as composite
from envoy.extensions.filters.http.credential_injector.v3 import (
    credential_injector_pb2 as _injector,
)
from envoy.extensions.filters.http.decompressor.v3 import decompressor_pb2 as _decompressor
from envoy.extensions.filters.http.dynamic_forward_proxy.v3 import (
    dynamic_forward_proxy_pb2 as _dynamic,
)
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2 as _counted
from envoy.extensions.filters.http.fault.v3 import fault_pb2 as fault
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2 as _mutation
from envoy.extensions.filters.http.health_check.v3 import health_check_pb2 as _health
from envoy.extensions.filters.http.local_ratelimit.v3 import local_rate_limit_pb2 as _local_limit
from envoy.extensions.filters.http.on_demand.v3 import on_demand_pb2 as on_demand
from envoy.extensions.filters.http.ratelimit.v3 import rate_limit_pb2 as _rate_limit
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as rbac
from envoy.extensions.filters.http.router.v3 import router_pb2 as _router
from envoy.extensions.filters.http.set_filter_state.v3 import set_filter_state_pb2 as _http_state
from envoy.extensions.filters.listener.http_inspector.v3 import (
    http_inspector_pb2 as _http_inspector,
)
from envoy.extensions.filters.listener.original_dst.v3 import original_dst_pb2 as _original_dst
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2 as _tls_inspector
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as _hcm,
)
from envoy.extensions.filters.network.set_filter_state.v3 import set_filter_state_pb2 as _net_state
from envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3 import (
    sni_dynamic_forward_proxy_pb2 as _sni,
)
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2 as _tcp_proxy
from envoy.extensions.filters.udp.dns_filter.v3 import dns_filter_pb2 as dns_filter
from envoy.extensions.filters.udp.udp_proxy.v3 import route_pb2 as _udp_route
from envoy.extensions.filters.udp.udp_proxy.v3 import udp_proxy_pb2 as _udp_proxy
from envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    header_mutation_pb2 as _early,
)
from envoy.extensions.http.injected_credentials.generic.v3 import generic_pb2 as _credential
from envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2 as network_inputs
from envoy.extensions.matching.input_matchers.ip.v3 import ip_pb2 as _ip
from envoy.extensions.matching.input_matchers.metadata.v3 import metadata_pb2 as metadata_matcher
from envoy.extensions.network.dns_resolver.cares.v3 import cares_dns_resolver_pb2 as cares
from envoy.extensions.resource_monitors.downstream_connections.v3 import (
    downstream_connections_pb2 as _connections,
)
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2 as previous_hosts
from envoy.extensions.transport_sockets.http_11_proxy.v3 import (
    upstream_http_11_connect_pb2 as http_11_proxy,
)
from envoy.extensions.transport_sockets.internal_upstream.v3 import (
    internal_upstream_pb2 as internal_upstream,
)
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2 as _raw
from envoy.extensions.transport_sockets.tls.v3 import common_pb2 as tls_common
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2 as secret
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2 as tls
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2 as http_options
from envoy.type.matcher.v3 import http_inputs_pb2 as http_inputs
from envoy.type.matcher.v3 import string_pb2 as string
from envoy.type.v3 import percent_pb2 as percent
from xds.type.matcher.v3 import matcher_pb2 as matcher

__all__ = [
    "address",
    "aggregate",
    "base",
    "bootstrap",
    "buffer",
    "cares",
    "circuit_breaker",
    "cluster",
    "composite",
    "config_source",
    "dns_cache",
    "dns_cluster",
    "dns_filter",
    "dns_table",
    "dynamic_cluster",
    "endpoint",
    "endpoints",
    "extension",
    "extension_matcher",
    "fault",
    "health_check",
    "http_11_proxy",
    "http_inputs",
    "http_options",
    "internal_upstream",
    "listener",
    "matcher",
    "metadata_matcher",
    "network_inputs",
    "on_demand",
    "outlier",
    "percent",
    "previous_hosts",
    "protocol",
    "rbac",
    "rbac_action",
    "route",
    "route_components",
    "scoped_route",
    "secret",
    "string",
    "tls",
    "tls_common",
]

_REGISTERED = (
    _ip, _injector, _local_limit, _rate_limit, _credential, _counted, _brotli, _gzip, _decompressor,
    _file, _internal, _router, _http_inspector, _original_dst, _tls_inspector,
    _hcm, _net_state, _tcp_proxy, _udp_route, _udp_proxy, _early, _connections, _raw,
    _cel, _health, _mutation, _dynamic, _sni, _http_state,
)  # fmt: skip
