"""What keeps one bad endpoint, or one busy destination, from harming all else: pools, limits, health, balancing."""

from functools import lru_cache
from typing import TypeVar

from google.protobuf import any_pb2

from outgate.traffic.references import Protocol
from outgate.traffic.upstream import (
    LARGEST_RING,
    Algorithm,
    Balancing,
    Breakers,
    Health,
    Outlier,
    Pool,
    Probe,
    Tls,
)
from outgate.xds import building
from outgate.xds import extensions as ext
from outgate.xds.bootstraps import BUFFER_BYTES

N = TypeVar("N", int, float)

MAX_CONNECTIONS, MAX_REQUESTS = 4096, 16384
"""Of one destination; Envoy's default of 1024 is a limit that users meet."""
KEEPALIVE_SECONDS, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES = 60, 10, 3
FALLING_BACK = Outlier(consecutive_gateway_errors=3, ejection_time=10.0, max_ejection_percent=100)
"""Where there are endpoints of several priorities and nobody says how to see that one fails."""

DEFAULT_POOL = Pool()

_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_ALGORITHMS = {
    Algorithm.ROUND_ROBIN: ext.cluster.Cluster.ROUND_ROBIN,
    Algorithm.LEAST_REQUEST: ext.cluster.Cluster.LEAST_REQUEST,
    Algorithm.RANDOM: ext.cluster.Cluster.RANDOM,
    Algorithm.RING_HASH: ext.cluster.Cluster.RING_HASH,
}


def limit(message: ext.cluster.Cluster, breakers: Breakers) -> None:
    """Set the circuit breakers. With a budget, `retries` is how many there may be however few the requests."""
    limits = message.circuit_breakers.thresholds.add()
    limits.max_connections.value = _or(breakers.connections, MAX_CONNECTIONS)
    limits.max_pending_requests.value = _or(breakers.pending, MAX_CONNECTIONS)
    limits.max_requests.value = _or(breakers.requests, MAX_REQUESTS)
    if breakers.retry_budget is None and breakers.retries is not None:
        limits.max_retries.value = breakers.retries
    else:
        limits.retry_budget.budget_percent.value = _or(breakers.retry_budget, 20.0)
        limits.retry_budget.min_retry_concurrency.value = _or(breakers.retries, 3)
    message.per_connection_buffer_limit_bytes.value = BUFFER_BYTES


def keep_alive(message: ext.cluster.Cluster, pool: Pool) -> None:
    """Let the kernel find out that a peer is gone."""
    keepalive = message.upstream_connection_options.tcp_keepalive
    keepalive.keepalive_time.value = int(_or(pool.keepalive_time, KEEPALIVE_SECONDS))
    keepalive.keepalive_interval.value = int(_or(pool.keepalive_interval, KEEPALIVE_INTERVAL))
    keepalive.keepalive_probes.value = _or(pool.keepalive_probes, KEEPALIVE_PROBES)


def balance(message: ext.cluster.Cluster, balancing: Balancing) -> None:
    """Set how an endpoint is chosen; by what a ring is hashed, routes say."""
    message.lb_policy = _ALGORITHMS[balancing.algorithm]
    if balancing.algorithm is Algorithm.RING_HASH:
        message.ring_hash_lb_config.maximum_ring_size.value = LARGEST_RING
        if balancing.ring_size:
            message.ring_hash_lb_config.minimum_ring_size.value = balancing.ring_size


def eject(message: ext.cluster.Cluster, outlier: Outlier) -> None:
    """Set when endpoints are taken out: for the errors in a row that are said, 5 of any kind where none is."""
    found = message.outlier_detection
    kinds = (
        outlier.consecutive_errors,
        outlier.consecutive_gateway_errors,
        outlier.consecutive_local_failures,
    )
    errors, gateway, local = kinds if any(each is not None for each in kinds) else (5, None, None)
    found.enforcing_consecutive_5xx.value = 100 if errors else 0
    if errors:
        found.consecutive_5xx.value = errors
    if gateway:
        found.consecutive_gateway_failure.value = gateway
        found.enforcing_consecutive_gateway_failure.value = 100
    if local:
        found.split_external_local_origin_errors = True
        found.consecutive_local_origin_failure.value = local
        found.enforcing_local_origin_success_rate.value = 0
    # Nobody can say what a share of calls that succeed is compared with.
    found.enforcing_success_rate.value = 0
    # A tenth of two endpoints is none.
    found.always_eject_one_host.value = True
    if outlier.interval is not None:
        found.interval.FromMilliseconds(_milliseconds(outlier.interval))
    if outlier.ejection_time is not None:
        found.base_ejection_time.FromMilliseconds(_milliseconds(outlier.ejection_time))
        found.max_ejection_time.FromMilliseconds(_milliseconds(max(300, outlier.ejection_time)))
    if outlier.max_ejection_percent is not None:
        found.max_ejection_percent.value = outlier.max_ejection_percent
    if outlier.min_healthy_percent is not None:
        message.common_lb_config.healthy_panic_threshold.value = outlier.min_healthy_percent


def check(
    message: ext.cluster.Cluster, health: Health, host: str, protocol: Protocol, tls: Tls | None
) -> None:
    """Ask each endpoint how it is, from the start on; `host` is whom HTTP and gRPC ask."""
    found = message.health_checks.add()
    for field in (found.interval, found.no_traffic_interval):
        field.FromMilliseconds(_milliseconds(health.interval))
    found.timeout.FromMilliseconds(_milliseconds(health.timeout))
    found.healthy_threshold.value = health.healthy
    found.unhealthy_threshold.value = health.unhealthy
    http2 = protocol in (Protocol.HTTP2, Protocol.GRPC) or health.probe is Probe.GRPC
    match health.probe:
        case Probe.TCP:
            found.tcp_health_check.SetInParent()
        case Probe.HTTP:
            asked = found.http_health_check
            asked.path, asked.host = health.path, health.host or host
            if http2:
                asked.codec_client_type = 1  # type.v3.CodecClientType.HTTP2
            for status in health.statuses:
                asked.expected_statuses.add(start=status, end=status + 1)
        case Probe.GRPC:
            found.grpc_health_check.service_name = health.service
            found.grpc_health_check.authority = health.host or host
    if tls is not None and http2 and health.probe is not Probe.TCP:
        found.tls_options.alpn_protocols.append("h2")


def speak(
    message: ext.cluster.Cluster,
    protocol: Protocol,
    tls: Tls | None = None,
    pool: Pool = DEFAULT_POOL,
    *,
    asked: bool = False,
) -> None:
    """Set the version of HTTP: over TLS what both can, unless the resource says HTTP/2.

    With `asked` the name in each call is what TLS asks for and verifies, where the resource names no other.
    """
    taken = (False, False)
    if asked and tls is not None:
        taken = (not tls.sni, tls.verify and not tls.names)
    options = _options(protocol, tls is not None, pool, taken)
    message.typed_extension_protocol_options[_OPTIONS].CopyFrom(options)


@lru_cache(64)
def _options(
    protocol: Protocol,
    encrypted: bool,
    pool: Pool,
    taken: tuple[bool, bool],
) -> any_pb2.Any:
    """Return what most clusters of a protocol share; `taken` from each call are the SNI, and the name to verify."""
    options = ext.http_options.HttpProtocolOptions()
    if protocol in (Protocol.HTTP2, Protocol.GRPC):
        _http2(options.explicit_http_config.http2_protocol_options, pool)
    elif encrypted:
        options.auto_config.http_protocol_options.SetInParent()
        _http2(options.auto_config.http2_protocol_options, pool)
    else:
        options.explicit_http_config.http_protocol_options.SetInParent()
    common = options.common_http_protocol_options
    if pool.idle_timeout is not None:
        common.idle_timeout.FromMilliseconds(_milliseconds(pool.idle_timeout))
    if pool.lifetime is not None:
        common.max_connection_duration.FromMilliseconds(_milliseconds(pool.lifetime))
    if pool.requests_per_connection is not None:
        common.max_requests_per_connection.value = pool.requests_per_connection
    if any(taken):
        said = options.upstream_http_protocol_options
        said.auto_sni, said.auto_san_validation = taken
    return building.pack(options)


def _http2(options: "ext.protocol.Http2ProtocolOptions", pool: Pool) -> None:
    options.SetInParent()
    if pool.concurrent_streams is not None:
        options.max_concurrent_streams.value = pool.concurrent_streams
    if pool.stream_window is not None:
        options.initial_stream_window_size.value = pool.stream_window
    if pool.connection_window is not None:
        options.initial_connection_window_size.value = pool.connection_window


def _milliseconds(value: float) -> int:
    return round(value * 1000)


def _or(value: N | None, default: N) -> N:
    return default if value is None else value
