"""The TLS and TCP routes of a VirtualService."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.istio.actions import parse_backends
from outgate.resources.istio.matching import Scope, callers_of, ports_of, reaches_mesh
from outgate.resources.istio.reading import texts
from outgate.resources.paths import child, item
from outgate.traffic.references import Target
from outgate.traffic.routing import Backend


@dataclass(frozen=True, slots=True)
class Connection:
    """A route of connections: `path` is where it is written, `names` are those of SNI that it is for, none for TCP.

    `ports` none: all. `callers` are the namespaces for whose calls it holds, None for all.
    """

    path: str
    names: tuple[str, ...]
    ports: tuple[int, ...]
    callers: frozenset[str] | None
    backends: tuple[Backend, ...]


def parse_connections(
    check: Checker, spec: Mapping[str, Any], scope: Scope, hosts: Collection[Target]
) -> tuple[Connection, ...]:
    """Read `spec.tls` and `spec.tcp`, in this order; what never holds is left out. `hosts` are what it is all for."""
    found: list[Connection] = []
    for kind in ("tls", "tcp"):
        for index, entry in check.items(spec, "spec", kind):
            path = item(child("spec", kind), index)
            found += _route(check, entry, path, scope, tls=kind == "tls")
    for each in found:
        if not each.ports and not _leads_home(each, hosts):
            message = "must say for which port: else it would hold for requests of HTTP too"
            check.error(child(each.path, "match"), message, "for example {port: 443}")
    return tuple(found)


def _leads_home(route: Connection, hosts: Collection[Target]) -> bool:
    """Whether a route leads where calls go anyway."""
    places = [each.target for each in route.backends]
    return len(places) == 1 and len(hosts) == 1 and places[0] in hosts


def _route(
    check: Checker, entry: Mapping[str, Any], path: str, scope: Scope, *, tls: bool
) -> list[Connection]:
    backends = parse_backends(check, entry, path, scope.namespace)
    if not entry.get("route"):
        check.error(child(path, "route"), "is required")
    items = check.items(entry, path, "match")
    if not items:
        if tls and not entry.get("match"):
            check.error(child(path, "match"), "is required", "for example {sniHosts: [...]}")
        return [] if tls else [Connection(path, (), (), scope.visible, backends)]
    found: list[Connection] = []
    for index, match in items:
        here = item(child(path, "match"), index)
        names = texts(check, match, here, "sniHosts") if tls else ()
        if tls and not names:
            check.error(child(here, "sniHosts"), "is required", "the names that clients ask for")
        callers = callers_of(check, match, here, scope)
        ports = ports_of(check, match, here)
        if reaches_mesh(check, match, here) and (callers is None or callers):
            lower = tuple(name.lower().removesuffix(".") for name in names)
            found.append(Connection(path, lower, ports, callers, backends))
    return found
