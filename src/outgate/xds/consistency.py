"""Checks that a snapshot is whole: whatever a resource names, and whatever a request could make Envoy look up, exists.

Envoy takes a name that leads nowhere without a word, and the calls that need it fail; so tests check every snapshot.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from outgate.model.destinations import Destination
from outgate.traffic.references import Protocol
from outgate.xds import naming, routes, tunnels
from outgate.xds.building import CLUSTER, LISTENER, ROUTE, SCOPED_ROUTE
from outgate.xds.egress import Programmed
from outgate.xds.holding import Holder
from outgate.xds.rendering import decode
from outgate.xds.snapshot import Snapshot

SECRETS = frozenset({tunnels.EGRESS_CERTIFICATE, tunnels.WORKLOAD_CERTIFICATE, tunnels.TRUST})
"""Served beside each snapshot, as they are renewed on their own."""
_CLUSTER_FIELDS = frozenset({"cluster", "cluster_name"})


def dangling(snapshot: Snapshot) -> list[str]:
    """Return each reference that leads nowhere, as `type/name: kind of what is missing: its name`, sorted."""
    missing = []
    for type_url in (CLUSTER, LISTENER, ROUTE, SCOPED_ROUTE):
        for name, resource in snapshot.of_type(type_url).items():
            for kind, target in _references(decode(resource)):
                if not _exists(snapshot, kind, target):
                    missing.append(f"{type_url.rpartition('.')[2]}/{name}: {kind}: {target}")
    return sorted(missing)


def unreachable(snapshot: Snapshot, programmed: Programmed) -> list[str]:
    """Return the names that the pipeline would look up for a declared port and not find, sorted."""
    wanted: list[tuple[str, str]] = []
    for held in programmed.holders.values():
        if programmed.allocation.address(held.name) is None:
            # There was no room for it.
            continue
        for destination, callers in held.views():
            namespaces = callers.among(held.spaces(programmed.namespaces))
            wanted += _looked_up(programmed, held, destination, namespaces)
    return sorted(name for kind, name in wanted if snapshot.get(kind, name) is None)


def _looked_up(
    programmed: Programmed, held: Holder, destination: Destination, callers: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Yield what calls to a destination look up, for callers in some namespaces."""
    claim = programmed.allocation.claims.get(held.name)
    address = programmed.allocation.address(held.name)
    namespaces = sorted(callers) if claim and claim.region.is_local else [""]
    for port in destination.ports:
        if port.is_http:
            yield CLUSTER, naming.http_cluster(destination.name, port.number)
            if held.name.name.startswith("*."):
                yield ROUTE, naming.wildcard(destination.name)
            else:
                yield SCOPED_ROUTE, ".".join(routes.scope_key(destination.name))
        for namespace in namespaces:
            if claim and address and claim.region.is_raw:
                for ip in (address.ipv4, address.ipv6):
                    yield CLUSTER, naming.raw_cluster(ip, port.number, namespace)
            if port.protocol is Protocol.TLS and not held.name.name.startswith("*."):
                yield CLUSTER, naming.tls_cluster(held.name.name, port.number, namespace)


def _exists(snapshot: Snapshot, kind: str, name: str) -> bool:
    if kind == "secret":
        # What is made of Secrets and files may be missing: calls that need it fail, and a problem says so.
        return name in SECRETS or name.startswith(naming.MATERIALS)
    if kind == "routes":
        return snapshot.get(ROUTE, name) is not None
    if name.startswith(naming.MISSING):
        # It leads nowhere, and is to.
        return True
    return snapshot.get(CLUSTER if kind == "cluster" else LISTENER, name) is not None


def _references(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the clusters, inner listeners and secrets that a resource names, in Envoy's own fields."""
    if isinstance(value, list):
        for each in value:
            yield from _references(each)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _field(key, each)


def _field(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if key in _CLUSTER_FIELDS and isinstance(value, str):
        yield "cluster", value
    elif key == "rds":
        yield "routes", value["route_config_name"]
    elif key == "server_listener_name":
        yield "listener", value
    elif key.endswith(("sds_secret_configs", "sds_secret_config")):
        yield from (("secret", one["name"]) for one in _several(value))
    # Metadata is ours and names services.
    elif key != "metadata":
        yield from _references(value)


def _several(value: Any) -> Iterable[Mapping[str, Any]]:
    return value if isinstance(value, list) else [value]
