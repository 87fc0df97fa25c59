"""Writes how an external service is connected to as an ExternalService says it."""

from typing import Any

from outgate.model.converting.plain import compact, duration
from outgate.traffic.references import ConfigMapKey, FileKey, Material, SecretKey
from outgate.traffic.upstream import (
    Algorithm,
    Balancing,
    Breakers,
    Endpoint,
    Hash,
    HashKey,
    Health,
    Outlier,
    Pool,
    Proxy,
    Resolution,
    Tls,
    Upstream,
)

_RESOLUTIONS = {Resolution.DNS: "DNS", Resolution.STATIC: "Static"}
_ALGORITHMS = {
    Algorithm.ROUND_ROBIN: "RoundRobin",
    Algorithm.LEAST_REQUEST: "LeastRequest",
    Algorithm.RANDOM: "Random",
    Algorithm.RING_HASH: "RingHash",
}


def write(upstream: Upstream) -> dict[str, Any]:
    """Return the fields of a spec for an upstream, without its TLS."""
    said: dict[str, Any] = {
        "resolution": _RESOLUTIONS.get(upstream.resolution) if upstream.resolution else None,
        "endpoints": [_endpoint(each) for each in upstream.endpoints or ()],
        "proxy": _proxy(upstream.proxy) if upstream.proxy else None,
        "privateRanges": [str(each) for each in upstream.private or ()],
        "connection": _pool(upstream.pool) if upstream.pool else None,
        "loadBalancing": _balancing(upstream.balancing) if upstream.balancing else None,
        "circuitBreaker": _breakers(upstream.breakers) if upstream.breakers else None,
        # Without anything in it there is still detection, with Envoy's numbers.
        "outlierDetection": _outlier(upstream.outlier) if upstream.outlier else None,
        "healthCheck": _health(upstream.health) if upstream.health else None,
    }
    return compact(said, "outlierDetection")


def tls(said: Tls) -> dict[str, Any]:
    """Return the fields of a port's `tls`."""
    return compact(
        {
            "sni": said.sni,
            "subjectAltNames": list(said.names),
            "ca": _material(said.ca) if said.ca else None,
            "clientCertificate": _client(said),
            "minVersion": said.minimum,
            "maxVersion": said.maximum,
            "ciphers": list(said.ciphers),
            "insecureSkipVerify": not said.verify,
        }
    )


def _material(material: Material) -> dict[str, Any]:
    match material:
        case FileKey():
            return {"file": material.path}
        case SecretKey():
            return {"secretRef": {"name": material.name, "key": material.key}}
        case ConfigMapKey():
            return {"configMapRef": {"name": material.name, "key": material.key}}


def _client(said: Tls) -> dict[str, Any] | None:
    match said.certificate, said.key:
        case SecretKey() as certificate, SecretKey():
            return {"secretRef": {"name": certificate.name}}
        case FileKey() as certificate, FileKey() as key:
            return {"certificateFile": certificate.path, "keyFile": key.path}
        case _:
            return None


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    return compact(
        {
            "address": endpoint.address,
            "port": endpoint.port,
            "priority": endpoint.priority,
            "weight": endpoint.weight if endpoint.weight != 1 else None,
            "locality": "/".join(endpoint.locality).rstrip("/"),
        }
    )


def _proxy(proxy: Proxy) -> dict[str, Any]:
    return {"type": proxy.kind.name, "address": proxy.host, "port": proxy.port}


def _pool(pool: Pool) -> dict[str, Any]:
    http2 = {
        "maxConcurrentStreams": pool.concurrent_streams,
        "streamWindow": _bytes(pool.stream_window),
        "connectionWindow": _bytes(pool.connection_window),
    }
    keepalive = {
        "time": duration(pool.keepalive_time),
        "interval": duration(pool.keepalive_interval),
        "probes": pool.keepalive_probes,
    }
    return compact(
        {
            "connectTimeout": duration(pool.connect_timeout),
            "idleTimeout": duration(pool.idle_timeout),
            "maxLifetime": duration(pool.lifetime),
            "maxRequestsPerConnection": pool.requests_per_connection,
            "http2": compact(http2),
            "keepalive": compact(keepalive),
        }
    )


def _bytes(size: int | None) -> str | None:
    return None if size is None else str(size)


def _balancing(balancing: Balancing) -> dict[str, Any]:
    return compact(
        {
            "algorithm": _ALGORITHMS[balancing.algorithm],
            "hashOn": [_hash(each) for each in balancing.hashes],
            "ringSize": balancing.ring_size,
        }
    )


def _hash(said: Hash) -> dict[str, Any]:
    if said.by is HashKey.SOURCE:
        return {"source": "Pod"}
    if said.by is HashKey.COOKIE:
        return {"cookie": compact({"name": said.name, "ttl": duration(said.ttl)})}
    return {said.by.value: said.name}


def _breakers(breakers: Breakers) -> dict[str, Any]:
    return compact(
        {
            "maxConnections": breakers.connections,
            "maxPendingRequests": breakers.pending,
            "maxRequests": breakers.requests,
            "maxRetries": breakers.retries,
            "retryBudgetPercent": breakers.retry_budget,
        }
    )


def _outlier(outlier: Outlier) -> dict[str, Any]:
    said = {
        "consecutiveErrors": outlier.consecutive_errors,
        "consecutiveGatewayErrors": outlier.consecutive_gateway_errors,
        "consecutiveLocalFailures": outlier.consecutive_local_failures,
        "interval": duration(outlier.interval),
        "ejectionTime": duration(outlier.ejection_time),
        "maxEjectionPercent": outlier.max_ejection_percent,
        "minHealthyPercent": outlier.min_healthy_percent,
    }
    return {key: value for key, value in said.items() if value is not None}


def _health(health: Health) -> dict[str, Any]:
    return compact(
        {
            "type": health.probe.name,
            "path": health.path if health.path != "/" else None,
            "host": health.host,
            "statuses": list(health.statuses),
            "service": health.service,
            "interval": duration(health.interval),
            "timeout": duration(health.timeout),
            "healthyThreshold": health.healthy,
            "unhealthyThreshold": health.unhealthy,
        }
    )
