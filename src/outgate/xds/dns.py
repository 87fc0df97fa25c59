"""Names of declared services, answered by the egress Envoy; no query is ever forwarded for a sealed workload.

One listener answers for all workloads: the short forms are completed by the search domains of their resolv.conf, as in
Kubernetes, so that one table serves every namespace.
"""

from collections.abc import Iterable

from google.protobuf import any_pb2

from outgate.model.addresses import Address
from outgate.model.destinations import forms
from outgate.model.names import Name
from outgate.model.visibility import covers
from outgate.xds import building
from outgate.xds import extensions as ext
from outgate.xds.endpoints import resolver
from outgate.xds.snapshot import Resource

TTL_SECONDS = 30
"""Life of an answer: the least that Envoy's DNS filter takes."""


MAX_QUERIES = 4096
"""Queries of one workload, counted by source port, that may be open. Envoy cannot know when one is answered: it keeps a
port's session, and a socket with it, until that was idle for the time below."""
SEALED_IDLE_SECONDS, FORWARD_IDLE_SECONDS = 0.5, 4.0
"""The shared listener answers at once; a real resolver is asked twice, see `endpoints.resolver`."""


def record(name: str, address: Address) -> bytes:
    """Serialise one name, or wildcard, as a DNS filter configuration with nothing else in it.

    Protobuf messages merge when their bytes are joined, and repeated fields are appended, so that the whole table is
    made by joining what was serialised before.
    """
    config = ext.dns_filter.DnsFilterConfig()
    entry = config.server_config.inline_dns_table.virtual_domains.add()
    entry.name = name
    entry.answer_ttl.seconds = TTL_SECONDS
    entry.endpoint.address_list.address.extend((str(address.ipv4), str(address.ipv6)))
    return bytes(config.SerializeToString(deterministic=True))


def name_of(name: Name, domain: str) -> str | None:
    """Return the name that a Service's or host's holder is answered by: a host's own, a Service's full one.

    None for a host inside the mesh's own domain, or a wildcard that stands for that: those names are Services'.
    """
    if "." not in name.name:
        return forms(name, domain)[-1]
    inside = f".{name.name}".endswith(f".{domain}") or covers(name.name, f"*.{domain}")
    return None if inside else name.name


def listener(
    name: str, port: int, records: Iterable[bytes], resolvers: tuple[str, ...] | None = None
) -> Resource:
    """Return the listener that answers on the host's loopback; with `resolvers` it asks them for all other names."""
    base = ext.dns_filter.DnsFilterConfig(stat_prefix="dns")
    base.server_config.inline_dns_table.SetInParent()
    if resolvers is not None:
        base.client_config.max_pending_lookups = 1024
        base.client_config.typed_dns_resolver_config.name = "envoy.network.dns_resolver.cares"
        base.client_config.typed_dns_resolver_config.typed_config.CopyFrom(
            building.pack(resolver(resolvers))
        )
    message = ext.listener.Listener(name=name)
    socket = message.address.socket_address
    socket.protocol = ext.address.SocketAddress.UDP
    socket.address, socket.port_value = "127.0.0.1", port
    table = message.listener_filters.add()
    table.name = "envoy.filters.udp.dns_filter"
    table.typed_config.CopyFrom(
        any_pb2.Any(
            type_url=building.PREFIX + ext.dns_filter.DnsFilterConfig.DESCRIPTOR.full_name,
            value=b"".join((base.SerializeToString(deterministic=True), *records)),
        )
    )
    return building.resource(building.LISTENER, name, message)


def cluster(name: str, port: int) -> Resource:
    """Return the cluster by which one workload's DNS listener reaches the shared one at `port`.

    Each workload has its own, so that the limit is its own too: one that uses it up leaves the others theirs.
    """
    message = ext.cluster.Cluster(name=name, type=ext.cluster.Cluster.STATIC)
    message.connect_timeout.FromSeconds(1)
    message.circuit_breakers.thresholds.add().max_connections.value = MAX_QUERIES
    message.load_assignment.cluster_name = name
    endpoint = message.load_assignment.endpoints.add().lb_endpoints.add().endpoint
    endpoint.address.socket_address.protocol = ext.address.SocketAddress.UDP
    endpoint.address.socket_address.address = "127.0.0.1"
    endpoint.address.socket_address.port_value = port
    return building.cluster(message)
