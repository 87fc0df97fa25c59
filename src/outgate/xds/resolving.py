"""A sidecar's DNS: captured queries go to the resolvers beside the egress Envoys, which know the declared names.

Each sidecar has two fronts: for a pod of which everything is captured, and for one of which only some ranges are, whose
other names a real resolver answers. The pod's firewall rules lead to the one or the other.
"""

import struct
from collections.abc import Iterable
from typing import Any

from outgate.settings import Settings
from outgate.xds import building, naming, tunnels
from outgate.xds.building import typed
from outgate.xds.dns import FORWARD_IDLE_SECONDS, MAX_QUERIES
from outgate.xds.listeners import udp_proxy
from outgate.xds.snapshot import Resource

SEALED, FORWARD = "resolver", "resolver-forward"
"""Clusters: a resolver that asks nobody outside the cluster, and one that does."""
SEALED_IDLE_SECONDS = 2.0
"""A query for a name inside goes on to the cluster's DNS. Who asks again must meet another resolver: musl does so after
2.5 s, glibc after 5."""
TCP_IDLE_SECONDS = 30.0
CHECK_SECONDS, CHECK_TIMEOUT_SECONDS = 2.0, 1.0
"""How often a sidecar asks each resolver something, so that one that is dead costs a query at most."""

_FRONTS = (
    (SEALED, naming.DNS_PORT, naming.RESOLVER_PORT, SEALED_IDLE_SECONDS),
    (FORWARD, naming.DNS_FORWARD_PORT, naming.RESOLVER_FORWARD_PORT, FORWARD_IDLE_SECONDS),
)
_TXT, _IN, _CHECK_ID = 16, 1, 0x6F67


def clusters(places: Iterable[str], settings: Settings) -> tuple[Resource, ...]:
    """Return the ways to the resolvers; `places` are where the egress Envoys beside them take tunnels (HOST:PORT)."""
    hosts = [each.rpartition(":")[0] for each in places]
    return tuple(_cluster(name, hosts, port, settings) for name, _, port, _ in _FRONTS)


def listeners() -> tuple[Resource, ...]:
    """Return the fronts, for UDP and TCP; each family has its own, as a pod may have no IPv6 at all."""
    return tuple(
        made
        for cluster, port, _, idle in _FRONTS
        for family, ip in (("ip4", "127.0.0.1"), ("ip6", "::1"))
        for made in (
            _udp(f"{cluster}-udp-{family}", cluster, (ip, port), idle),
            _tcp(f"{cluster}-tcp-{family}", cluster, (ip, port)),
        )
    )


def _at(where: tuple[str, int], protocol: str) -> dict[str, Any]:
    ip, port = where
    return {"socket_address": {"protocol": protocol, "address": ip, "port_value": port}}


def _udp(name: str, cluster: str, where: tuple[str, int], idle: float) -> Resource:
    filters = [udp_proxy(cluster, idle)]
    return building.listener(
        {"name": name, "address": _at(where, "UDP"), "listener_filters": filters}
    )


def _tcp(name: str, cluster: str, where: tuple[str, int]) -> Resource:
    proxy = typed(
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix="dns",
        cluster=cluster,
        idle_timeout=building.seconds(TCP_IDLE_SECONDS),
    )
    filters = [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]
    return building.listener(
        {"name": name, "address": _at(where, "TCP"), "filter_chains": [{"filters": filters}]}
    )


def _cluster(name: str, hosts: Iterable[str], port: int, settings: Settings) -> Resource:
    endpoints = [{"endpoint": {"address": tunnels.place(f"{host}:{port}")}} for host in hosts]
    return building.any_cluster(
        {
            "name": name,
            "type": "STATIC",
            "connect_timeout": "1s",
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{"lb_endpoints": endpoints}],
            },
            # Of the pod itself, counted by source port (see `dns.MAX_QUERIES`).
            "circuit_breakers": {"thresholds": [{"max_connections": MAX_QUERIES}]},
            "health_checks": [_check(settings.trust_domain)],
        }
    )


def _check(domain: str) -> dict[str, Any]:
    """Ask over TCP for something that a resolver answers without asking anybody: a type that it filters."""
    question = _question(domain)
    return {
        "interval": building.seconds(CHECK_SECONDS),
        "no_traffic_interval": building.seconds(CHECK_SECONDS),
        "timeout": building.seconds(CHECK_TIMEOUT_SECONDS),
        "unhealthy_threshold": 1,
        "healthy_threshold": 1,
        "tcp_health_check": {
            "send": {"text": (struct.pack(">H", len(question)) + question).hex()},
            "receive": [{"text": struct.pack(">H", _CHECK_ID).hex()}],
        },
    }


def _question(domain: str) -> bytes:
    """Write a query for TXT as RFC 1035 has it (section 4.1)."""
    labels = b"".join(bytes((len(each),)) + each.encode() for each in domain.split("."))
    header = struct.pack(">6H", _CHECK_ID, 0, 1, 0, 0, 0)
    return header + labels + b"\0" + struct.pack(">2H", _TXT, _IN)
