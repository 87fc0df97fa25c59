"""The traffic policy of a DestinationRule: balancing, pools, outliers and TLS."""

from collections.abc import Mapping
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.istio.reading import (
    count,
    duration,
    flag,
    kept_alive,
    percentage,
    timed,
    whole,
)
from outgate.resources.istio.securing import parse_tls
from outgate.resources.native.http_forms import HEADER
from outgate.resources.paths import child
from outgate.traffic.upstream import (
    LARGEST_RING,
    Algorithm,
    Balancing,
    Breakers,
    Hash,
    HashKey,
    Outlier,
    Pool,
    Upstream,
)

_SIMPLE: Mapping[str, Algorithm | None] = {
    "UNSPECIFIED": None,
    "ROUND_ROBIN": Algorithm.ROUND_ROBIN,
    "LEAST_REQUEST": Algorithm.LEAST_REQUEST,
    "LEAST_CONN": Algorithm.LEAST_REQUEST,
    "RANDOM": Algorithm.RANDOM,
    "PASSTHROUGH": None,
}
_HASHES = {
    "httpHeaderName": HashKey.HEADER,
    "httpQueryParameterName": HashKey.QUERY,
}
_UPGRADES = ("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE")
# Istio's own (MeshConfig.defaultDestinationRule): 1024 is Envoy's, which Istio's API keeps.
_MIN_RING = 1024
# tcp(7): TCP_KEEPCNT.
_MOST_PROBES = 127


def parse_policy(
    check: Checker, policy: Mapping[str, Any], path: str, namespace: str, *, is_service: bool
) -> Upstream:
    """Read what a policy says, for all ports or for one."""
    pool = check.mapping(policy, path, "connectionPool") or {}
    here = child(path, "connectionPool")
    return Upstream(
        tls=parse_tls(check, policy, path, namespace, is_service=is_service),
        balancing=_balancing(check, policy, path),
        breakers=_breakers(check, policy, path),
        pool=_pool(check, pool, here),
        outlier=_outlier(check, policy, path),
    )


def _balancing(check: Checker, policy: Mapping[str, Any], path: str) -> Balancing | None:
    settings = check.mapping(policy, path, "loadBalancer") or {}
    here = child(path, "loadBalancer")
    simple = check.choice(settings, here, "simple", tuple(_SIMPLE))
    if simple == "PASSTHROUGH":
        message = "has no effect: a host is called where its resolution says that it is"
        check.warning(child(here, "simple"), message)
    consistent = check.mapping(settings, here, "consistentHash")
    if consistent is None:
        algorithm = _SIMPLE[simple] if simple else None
        return Balancing(algorithm) if algorithm else None
    if simple:
        message = "both simple and consistentHash are there"
        check.error(here, message, "remove one of the two")
    return _ring(check, consistent, child(here, "consistentHash"))


def _ring(check: Checker, settings: Mapping[str, Any], path: str) -> Balancing | None:
    keys: list[Hash] = []
    for key, by in _HASHES.items():
        if name := check.string(settings, path, key):
            if by is HashKey.HEADER:
                check.flaw(child(path, key), HEADER.flaw(name))
            keys.append(Hash(by, name))
    if (cookie := check.mapping(settings, path, "httpCookie")) is not None:
        here = child(path, "httpCookie")
        name = check.string(cookie, here, "name")
        if not name:
            check.error(child(here, "name"), "is required", "the name of the cookie")
        else:
            check.flaw(child(here, "name"), HEADER.flaw(name))
        keys.append(Hash(HashKey.COOKIE, name or "", duration(check, cookie, here, "ttl")))
    if flag(check, settings, path, "useSourceIp"):
        keys.append(Hash(HashKey.SOURCE))
    ring = check.mapping(settings, path, "ringHash") or {}
    limits = (0, LARGEST_RING)
    size = whole(check, ring, child(path, "ringHash"), "minimumRingSize", limits)
    older = whole(check, settings, path, "minimumRingSize", limits)
    if len(keys) != 1:
        message = "must say by what: one of httpHeaderName, httpCookie, useSourceIp and httpQueryParameterName"
        check.error(path, message)
        return None
    return Balancing(Algorithm.RING_HASH, tuple(keys), size or older or 0)


def _breakers(check: Checker, policy: Mapping[str, Any], path: str) -> Breakers | None:
    pool = check.mapping(policy, path, "connectionPool") or {}
    here = child(path, "connectionPool")
    tcp = check.mapping(pool, here, "tcp") or {}
    http = check.mapping(pool, here, "http") or {}
    in_http = child(here, "http")
    budget = check.mapping(policy, path, "retryBudget")
    share = None
    if budget is not None:
        share = percentage(check, budget, child(path, "retryBudget"), "percent")
        # networking.istio.io: 0.2 where it does not say, which stands for 20.
        share = 20.0 if share is None else share
    found = Breakers(
        connections=count(check, tcp, child(here, "tcp"), "maxConnections") or None,
        pending=count(check, http, in_http, "http1MaxPendingRequests") or None,
        requests=count(check, http, in_http, "http2MaxRequests") or None,
        retries=count(check, http, in_http, "maxRetries") or None,
        retry_budget=share,
    )
    return found if found != Breakers() else None


def _pool(check: Checker, pool: Mapping[str, Any], path: str) -> Pool | None:
    tcp, http = check.mapping(pool, path, "tcp") or {}, check.mapping(pool, path, "http") or {}
    in_tcp, in_http = child(path, "tcp"), child(path, "http")
    if check.choice(http, in_http, "h2UpgradePolicy", _UPGRADES) == "UPGRADE":
        message = "what is spoken outside is said by the port's protocol alone"
        check.error(child(in_http, "h2UpgradePolicy"), message, "write protocol: HTTP2 there")
    alive = check.mapping(tcp, in_tcp, "tcpKeepalive") or {}
    in_alive = child(in_tcp, "tcpKeepalive")
    idle = duration(check, http, in_http, "idleTimeout")
    idle_tcp = duration(check, tcp, in_tcp, "idleTimeout")
    found = Pool(
        connect_timeout=timed(check, tcp, in_tcp, "connectTimeout"),
        idle_timeout=idle_tcp if idle is None else idle,
        lifetime=timed(check, tcp, in_tcp, "maxConnectionDuration"),
        # 0 is as many as there are, in each.
        requests_per_connection=count(check, http, in_http, "maxRequestsPerConnection") or None,
        concurrent_streams=count(check, http, in_http, "maxConcurrentStreams") or None,
        keepalive_time=kept_alive(check, alive, in_alive, "time"),
        keepalive_interval=kept_alive(check, alive, in_alive, "interval"),
        keepalive_probes=whole(check, alive, in_alive, "probes", (0, _MOST_PROBES)) or None,
    )
    return found if found != Pool() else None


def _outlier(check: Checker, policy: Mapping[str, Any], path: str) -> Outlier | None:
    settings = check.mapping(policy, path, "outlierDetection")
    if settings is None:
        return None
    here = child(path, "outlierDetection")
    gateway = count(check, settings, here, "consecutiveGatewayErrors")
    older = count(check, settings, here, "consecutiveErrors")
    local = count(check, settings, here, "consecutiveLocalOriginFailures")
    split = flag(check, settings, here, "splitExternalLocalOriginErrors")
    if local is not None and not split:
        message = "has no effect without splitExternalLocalOriginErrors"
        check.warning(child(here, "consecutiveLocalOriginFailures"), message, "write it too")
    return Outlier(
        consecutive_errors=count(check, settings, here, "consecutive5xxErrors"),
        consecutive_gateway_errors=older if gateway is None else gateway,
        # Envoy's own number, which Istio leaves.
        consecutive_local_failures=(5 if local is None else local) if split else None,
        interval=timed(check, settings, here, "interval"),
        ejection_time=timed(check, settings, here, "baseEjectionTime"),
        max_ejection_percent=whole(check, settings, here, "maxEjectionPercent", (0, 100)),
        min_healthy_percent=whole(check, settings, here, "minHealthPercent", (0, 100)),
    )
