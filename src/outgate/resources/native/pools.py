"""Connections to an external service, and the most that there may be of each, as one writes it."""

from typing import Any

from outgate.resources.native.numbers import (
    COUNT,
    PERCENT,
    POSITIVE,
    WINDOW,
)
from outgate.resources.schemas import (
    Duration,
    Field,
    Fields,
    Number,
)
from outgate.traffic.upstream import Breakers, Pool


def _pool(
    http2: dict[str, Any] | None = None, keepalive: dict[str, Any] | None = None, **given: Any
) -> Pool:
    return Pool(**given, **(http2 or {}), **(keepalive or {}))


HTTP2 = Fields(
    (
        Field(
            "maxConcurrentStreams", COUNT, "Requests at once on a connection.", "concurrent_streams"
        ),
        Field("streamWindow", WINDOW, "Bytes on the way for one request.", "stream_window"),
        Field(
            "connectionWindow", WINDOW, "Bytes on the way for one connection.", "connection_window"
        ),
    ),
    dict,
)
KEEPALIVE = Fields(
    (
        Field(
            "time", Duration("1s"), "Silence after which the first probe is sent.", "keepalive_time"
        ),
        Field("interval", Duration("1s"), "Time between probes.", "keepalive_interval"),
        Field(
            "probes",
            Number(1, 100, "this"),
            "Probes without an answer after which the connection is closed.",
            "keepalive_probes",
        ),
    ),
    dict,
)
CONNECTION = Fields(
    (
        Field("connectTimeout", POSITIVE, "How long to wait for a connection.", "connect_timeout"),
        Field(
            "idleTimeout", POSITIVE, "Silence after which a connection is closed.", "idle_timeout"
        ),
        Field(
            "maxLifetime", POSITIVE, "Age at which a connection takes no more requests.", "lifetime"
        ),
        Field(
            "maxRequestsPerConnection",
            COUNT,
            "Requests after which a connection is replaced.",
            "requests_per_connection",
        ),
        Field("http2", HTTP2, "Limits of HTTP/2."),
        Field("keepalive", KEEPALIVE, "TCP keep-alive."),
    ),
    _pool,
)


CIRCUIT_BREAKER = Fields(
    (
        Field("maxConnections", COUNT, "Connections at once.", "connections"),
        Field(
            "maxPendingRequests", COUNT, "Requests that wait for a connection at once.", "pending"
        ),
        Field("maxRequests", COUNT, "Requests at once.", "requests"),
        Field(
            "maxRetries",
            COUNT,
            "Retries at once; beside `retryBudgetPercent` how many there may be however few the requests.",
            "retries",
        ),
        Field(
            "retryBudgetPercent",
            PERCENT,
            "Retries at once, as a share of the requests at once.",
            "retry_budget",
        ),
    ),
    Breakers,
)
