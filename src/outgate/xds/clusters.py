"""Where calls go: a cluster for each port of each declared service, and for each way of reaching it.

The egress resolves names itself, and never uses the address a client aimed at. TLS is always verified: chain and name.
"""

from dataclasses import dataclass

from google.protobuf import duration_pb2, wrappers_pb2

from outgate.model.addresses import Address
from outgate.model.destinations import Destination, External, Internal, Port
from outgate.model.names import Name
from outgate.settings import Settings
from outgate.traffic.references import Protocol
from outgate.xds import building, naming
from outgate.xds import extensions as ext
from outgate.xds.bootstraps import BUFFER_BYTES
from outgate.xds.snapshot import Resource

MAX_CONNECTIONS, MAX_REQUESTS = 4096, 16384
"""Of one destination; Envoy's default of 1024 is a limit that users meet."""
DNS_REFRESH_SECONDS = 30
"""Used where a DNS answer has no TTL."""
UDP_QUERIES = 100
"""Queries on one UDP socket: with more at once, answers overflow it and c-ares waits 5 s."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """What all clusters to the outside share; `ca_file` is the CA bundle, `resolvers` empty for the system's.

    `marked` sets a mark on sockets, by which the guard below Envoy knows them; that takes CAP_NET_ADMIN.
    """

    settings: Settings
    ca_file: str
    resolvers: tuple[str, ...] = ()
    marked: bool = True


def external(service: External, address: Address, upstream: Upstream) -> tuple[Resource, ...]:
    """Return the clusters of an external service."""
    resources: list[Resource] = []
    for port in service.ports:
        if port.is_http:
            resources.append(building.cluster(_http(service, port, upstream), on_demand=True))
        for name in _raw_names(service, address, port):
            message = (
                late_alias(name, service.name)
                if port.is_http
                else _dns(name, service, port, upstream)
            )
            resources.append(building.cluster(message))
    return tuple(resources)


def _raw_names(service: Destination, address: Address, port: Port) -> tuple[str, ...]:
    """Return the clusters by which connections to a port are found by address: none where all ports are HTTP."""
    if not service.has_raw_port:
        return ()
    return tuple(naming.raw_cluster(ip, port.number) for ip in (address.ipv4, address.ipv6))


def internal(service: Internal, address: Address) -> tuple[Resource, ...]:
    """Return the clusters of a service that pods serve: each endpoint is the way into one pod's namespace."""
    resources: list[Resource] = []
    for port, endpoints in zip(service.ports, service.endpoints, strict=True):
        targets = tuple(naming.inbound(each.pod, each.port) for each in endpoints)
        if port.is_http:
            message = _to_listeners(naming.http_cluster(service.name, port.number), targets)
            _describe(message, service.name)
            _speak(message, port.protocol)
            resources.append(building.cluster(message, on_demand=True))
        for name in _raw_names(service, address, port):
            message = (
                late_alias(name, service.name) if port.is_http else _to_listeners(name, targets)
            )
            _describe(message, service.name)
            resources.append(building.cluster(message))
    return tuple(resources)


def late_alias(name: str, service: Name) -> ext.cluster.Cluster:
    """Return the way back into the pipeline for an HTTP port of a service that has a plain TCP port too."""
    message = _to_listeners(name, (naming.LATE,))
    _describe(message, service)
    return message


def shared() -> tuple[Resource, ...]:
    """Return the clusters that lead to the egress Envoy's own inner listeners, and the one that leads nowhere."""
    deny = ext.cluster.Cluster(name=naming.DENY, type=ext.cluster.Cluster.STATIC)
    deny.load_assignment.cluster_name = naming.DENY
    inner = (
        _to_listeners(naming.internal_cluster(name), (name,))
        for name in (naming.CAPTURE, naming.RAW)
    )
    return tuple(building.cluster(each) for each in (deny, *inner))


def into_pod(pod: Name, netns: str, port: int) -> Resource:
    """Return the cluster that connects to a server's loopback port from inside its own namespace."""
    name = naming.inbound(pod, port)
    message = _static(name)
    endpoint = message.load_assignment.endpoints.add().lb_endpoints.add().endpoint
    endpoint.address.socket_address.address = "127.0.0.1"
    endpoint.address.socket_address.port_value = port
    source = message.upstream_bind_config.source_address
    source.address = "127.0.0.1"
    source.port_value = 0
    source.network_namespace_filepath = netns
    return building.cluster(message)


def _static(name: str) -> ext.cluster.Cluster:
    message = ext.cluster.Cluster(name=name, type=ext.cluster.Cluster.STATIC)
    message.connect_timeout.FromSeconds(1)
    message.load_assignment.cluster_name = name
    message.per_connection_buffer_limit_bytes.value = BUFFER_BYTES
    return message


def _to_listeners(name: str, listeners: tuple[str, ...]) -> ext.cluster.Cluster:
    message = _static(name)
    group = message.load_assignment.endpoints.add()
    for index, target in enumerate(listeners):
        inner = group.lb_endpoints.add().endpoint.address.envoy_internal_address
        inner.server_listener_name = target
        inner.endpoint_id = str(index)
    form = {
        "name": "envoy.transport_sockets.internal_upstream",
        "typed_config": building.typed(
            "extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
            transport_socket={
                "name": "envoy.transport_sockets.raw_buffer",
                "typed_config": building.typed(
                    "extensions.transport_sockets.raw_buffer.v3.RawBuffer"
                ),
            },
        ),
    }
    building.parse(form, message.transport_socket)
    return message


def _describe(message: ext.cluster.Cluster, service: Name) -> None:
    message.metadata.filter_metadata[naming.METADATA].update({"service": str(service)})


def _limit(message: ext.cluster.Cluster) -> None:
    limits = message.circuit_breakers.thresholds.add()
    limits.max_connections.value = MAX_CONNECTIONS
    limits.max_pending_requests.value = MAX_CONNECTIONS
    limits.max_requests.value = MAX_REQUESTS
    limits.retry_budget.budget_percent.value = 20.0
    limits.retry_budget.min_retry_concurrency.value = 3
    message.per_connection_buffer_limit_bytes.value = BUFFER_BYTES


def _dns(name: str, service: External, port: Port, upstream: Upstream) -> ext.cluster.Cluster:
    """Return a cluster whose one endpoint is whatever the external name resolves to, in either family."""
    message = ext.cluster.Cluster(name=name)
    message.connect_timeout.FromMilliseconds(int(upstream.settings.connect_timeout * 1000))
    message.load_assignment.cluster_name = name
    endpoint = message.load_assignment.endpoints.add().lb_endpoints.add().endpoint
    endpoint.address.socket_address.address = service.host
    endpoint.address.socket_address.port_value = port.number
    dns = ext.dns_cluster.DnsCluster(
        respect_dns_ttl=True,
        all_addresses_in_single_endpoint=True,
        dns_refresh_rate=duration_pb2.Duration(seconds=DNS_REFRESH_SECONDS),
    )
    dns.dns_failure_refresh_rate.base_interval.FromSeconds(1)
    dns.dns_failure_refresh_rate.max_interval.FromSeconds(10)
    dns.typed_dns_resolver_config.name = "envoy.network.dns_resolver.cares"
    dns.typed_dns_resolver_config.typed_config.CopyFrom(building.pack(resolver(upstream.resolvers)))
    dns.dns_lookup_family = 5  # ALL: both families, tried as RFC 8305 (happy eyeballs) says
    message.cluster_type.name = "envoy.clusters.dns"
    message.cluster_type.typed_config.CopyFrom(building.pack(dns))
    keepalive = message.upstream_connection_options.tcp_keepalive
    keepalive.keepalive_time.value, keepalive.keepalive_interval.value = 60, 10
    keepalive.keepalive_probes.value = 3
    if upstream.marked:
        # SOL_SOCKET is 1, SO_MARK 36.
        mark = message.upstream_bind_config.socket_options.add()
        mark.level, mark.name, mark.int_value = 1, 36, naming.SOCKET_MARK
    _describe(message, service.name)
    _limit(message)
    return message


def resolver(addresses: tuple[str, ...]) -> ext.cares.CaresDnsResolverConfig:
    """Return the configuration of the resolver; names are taken as they are, with no search domain."""
    config = ext.cares.CaresDnsResolverConfig()
    for address in addresses:
        socket = config.resolvers.add().socket_address
        socket.address, socket.port_value = address, 53
    config.dns_resolver_options.no_default_search_domain = True
    # Envoy acknowledges no cluster while one still waits for its first answer: a dead server must not take long.
    config.query_timeout_seconds.value, config.query_tries.value = 1, 2
    config.udp_max_queries.CopyFrom(wrappers_pb2.UInt32Value(value=UDP_QUERIES))
    return config


def _http(service: External, port: Port, upstream: Upstream) -> ext.cluster.Cluster:
    message = _dns(naming.http_cluster(service.name, port.number), service, port, upstream)
    _speak(message, port.protocol)
    if port.protocol is Protocol.HTTPS:
        _originate(message, service.host, upstream.ca_file)
    return message


def _speak(message: ext.cluster.Cluster, protocol: Protocol) -> None:
    options = ext.http_options.HttpProtocolOptions()
    if protocol is Protocol.HTTPS:
        options.auto_config.http_protocol_options.SetInParent()
        options.auto_config.http2_protocol_options.SetInParent()
    elif protocol is Protocol.HTTP:
        options.explicit_http_config.http_protocol_options.SetInParent()
    else:
        options.explicit_http_config.http2_protocol_options.SetInParent()
    key = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    message.typed_extension_protocol_options[key].CopyFrom(building.pack(options))


def _originate(message: ext.cluster.Cluster, host: str, ca_file: str) -> None:
    context = ext.tls.UpstreamTlsContext(sni=host)
    common = context.common_tls_context
    common.tls_params.tls_minimum_protocol_version = ext.tls_common.TlsParameters.TLSv1_2
    # As a client Envoy would stop at 1.2.
    common.tls_params.tls_maximum_protocol_version = ext.tls_common.TlsParameters.TLSv1_3
    validation = common.validation_context
    validation.trusted_ca.filename = ca_file
    name = validation.match_typed_subject_alt_names.add()
    name.san_type = ext.tls_common.SubjectAltNameMatcher.DNS
    name.matcher.exact = host
    message.transport_socket.name = "envoy.transport_sockets.tls"
    message.transport_socket.typed_config.CopyFrom(building.pack(context))
