"""Where a destination's endpoints are, and how its names are resolved; and by which mark the guard knows its sockets.

The egress resolves names itself, and never uses the address a client aimed at.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from google.protobuf import any_pb2, duration_pb2, wrappers_pb2

from outgate.model.destinations import External, Port
from outgate.settings import Settings
from outgate.traffic.references import Network
from outgate.traffic.special import is_refused
from outgate.traffic.upstream import Endpoint, Resolution
from outgate.xds import building, naming
from outgate.xds import extensions as ext

DNS_REFRESH_SECONDS = 30
"""Used where a DNS answer has no TTL."""
UDP_QUERIES = 100
"""Queries on one UDP socket: with more at once, answers overflow it and c-ares waits 5 s."""
ALL, V4_PREFERRED = 5, 4
"""Envoy's DnsLookupFamily: both, tried as RFC 8305 (happy eyeballs) says; IPv6 only where there is no IPv4."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """What all clusters to the outside share; `ca_file` is the CA bundle, `resolvers` empty for the system's.

    `marked` sets a mark on sockets, by which the guard below Envoy knows them; that takes CAP_NET_ADMIN.
    """

    settings: Settings
    ca_file: str
    resolvers: tuple[str, ...] = ()
    marked: bool = True


def of(service: External, port: Port) -> tuple[Endpoint, ...]:
    """Return the endpoints of a port: those that are written out, else the host itself."""
    written = port.upstream.endpoints or (Endpoint(service.host),)
    return tuple(sorted(written, key=lambda each: (each.priority, each.locality)))


def is_dynamic(service: External, port: Port) -> bool:
    """Whether a port's endpoint is the name in each call: that of a wildcard for which none is written out."""
    of_name = port.upstream.resolution is not Resolution.ADDRESS
    return service.is_wildcard and of_name and not port.upstream.endpoints


def private(port: Port) -> tuple[Network, ...]:
    """Return the ranges, refused otherwise, that a port's connections may go to, sorted.

    Those that the resource names, and addresses that it writes out as endpoints or as a proxy on the way.
    """
    upstream = port.upstream
    if upstream.proxy is None and not upstream.endpoints and not upstream.private:
        return ()
    if upstream.proxy is not None:
        written: Iterable[str] = (upstream.proxy.host,)
    else:
        written = (each.address for each in upstream.endpoints or ())
    found = {ipaddress.ip_network(each) for each in written if is_refused(each)}
    return tuple(sorted(found | set(upstream.private or ()), key=str))


def find(
    message: ext.cluster.Cluster, endpoints: tuple[Endpoint, ...], port: Port, upstream: Upstream
) -> None:
    """Give a cluster its endpoints: addresses as they are, names by DNS.

    One name is one endpoint, whatever addresses it has; they are endpoints of their own where the resource says
    something that tells them apart: how to choose one, or when to take one out.
    """
    if port.upstream.resolution is Resolution.ADDRESS:
        message.type = ext.cluster.Cluster.ORIGINAL_DST
        message.lb_policy = ext.cluster.Cluster.CLUSTER_PROVIDED
        if port.outside != port.number:
            message.original_dst_lb_config.upstream_port_override.value = port.outside
        return
    assign(message, endpoints, port)
    if _are_static(endpoints, port):
        message.type = ext.cluster.Cluster.STATIC
        return
    said = port.upstream
    apart = any((said.balancing, said.outlier, said.health))
    several = len(endpoints) > 1 or apart
    message.cluster_type.name = "envoy.clusters.dns"
    message.cluster_type.typed_config.CopyFrom(_dns(upstream.resolvers, several))


@lru_cache(16)
def _dns(resolvers: tuple[str, ...], several: bool) -> any_pb2.Any:
    """Return how names are resolved, which nearly all clusters share."""
    dns = ext.dns_cluster.DnsCluster(
        respect_dns_ttl=True,
        all_addresses_in_single_endpoint=not several,
        dns_refresh_rate=duration_pb2.Duration(seconds=DNS_REFRESH_SECONDS),
    )
    dns.dns_failure_refresh_rate.base_interval.FromSeconds(1)
    dns.dns_failure_refresh_rate.max_interval.FromSeconds(10)
    dns.typed_dns_resolver_config.name = "envoy.network.dns_resolver.cares"
    dns.typed_dns_resolver_config.typed_config.CopyFrom(building.pack(resolver(resolvers)))
    # An endpoint of its own cannot fall back to the other family.
    dns.dns_lookup_family = V4_PREFERRED if several else ALL
    return building.pack(dns)


def _are_static(endpoints: Iterable[Endpoint], port: Port) -> bool:
    if port.upstream.resolution is Resolution.STATIC:
        return True
    return all(is_address(each.address) for each in endpoints)


def is_address(text: str) -> bool:
    """Whether text is an IP address, and not a DNS name."""
    if not text[-1:].isdigit() and ":" not in text:
        # Most are names: to fail takes long.
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def assign(message: ext.cluster.Cluster, endpoints: Iterable[Endpoint], port: Port) -> None:
    """Write endpoints, grouped by priority and locality; a locality's weight is that of its endpoints together."""
    message.load_assignment.cluster_name = message.name
    groups: dict[tuple[int, tuple[str, str, str]], list[Endpoint]] = {}
    for each in endpoints:
        groups.setdefault((each.priority, each.locality), []).append(each)
    levels = sorted({priority for priority, _ in groups})
    weighted = len(groups) > len(levels)
    for (priority, locality), members in groups.items():
        group = message.load_assignment.endpoints.add()
        # Envoy's have no gaps.
        group.priority = levels.index(priority)
        if any(locality):
            group.locality.region, group.locality.zone, group.locality.sub_zone = locality
        if weighted:
            group.load_balancing_weight.value = sum(each.weight for each in members)
        for each in members:
            one = group.lb_endpoints.add()
            one.endpoint.address.socket_address.address = each.address
            one.endpoint.address.socket_address.port_value = each.port or port.outside
            if each.weight != 1:
                one.load_balancing_weight.value = each.weight
    if weighted:
        message.common_lb_config.locality_weighted_lb_config.SetInParent()


def mark(message: ext.cluster.Cluster, port: Port, upstream: Upstream) -> None:
    """Let the guard know a cluster's sockets, and where they may go."""
    if not upstream.marked:
        return
    # SOL_SOCKET is 1, SO_MARK 36.
    option = message.upstream_bind_config.socket_options.add()
    option.level, option.name = 1, 36
    option.int_value = naming.socket_mark(upstream.settings.mesh, private(port))


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
