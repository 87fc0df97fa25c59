"""The TLS and TCP routes of a VirtualService: those that lead where calls go anyway are all that there may be.

Istio's documents have many of these, as routes through an egress gateway begin and end so.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.istio.actions import parse_backends
from outgate.resources.istio.matching import Scope, callers_of, ports_of, reaches_mesh
from outgate.resources.istio.reading import texts
from outgate.resources.paths import child, item
from outgate.traffic.references import Target
from outgate.traffic.routing import Backend

_HINT = "declare the host with endpoints there: {address: ..., ports: {...}}"


def check_connections(
    check: Checker, spec: Mapping[str, Any], scope: Scope, hosts: Collection[Target]
) -> None:
    """Note what is wrong with `spec.tls` and `spec.tcp`; `hosts` are what the VirtualService is for."""
    for kind in ("tls", "tcp"):
        for index, entry in check.items(spec, "spec", kind):
            path = item(child("spec", kind), index)
            backends = parse_backends(check, entry, path, scope.namespace)
            if not entry.get("route"):
                check.error(child(path, "route"), "is required")
            for names, ports in _places(check, entry, path, scope, tls=kind == "tls"):
                meant = [each for each in hosts if _concerns(names, each)]
                if backends and not all(_leads_home(backends, each, ports) for each in meant):
                    message = "connections are not led to another host or port"
                    check.error(child(path, "route"), message, _HINT)


def _places(
    check: Checker, entry: Mapping[str, Any], path: str, scope: Scope, *, tls: bool
) -> Iterator[tuple[tuple[str, ...], tuple[int, ...]]]:
    """Yield the names of SNI (none: all) and the ports (none: all) that each match of a route is for."""
    items = check.items(entry, path, "match")
    if not items:
        if tls and not entry.get("match"):
            check.error(child(path, "match"), "is required", "for example {sniHosts: [...]}")
        elif not tls:
            yield (), ()
    for index, match in items:
        here = item(child(path, "match"), index)
        names = texts(check, match, here, "sniHosts") if tls else ()
        if tls and not names:
            check.error(child(here, "sniHosts"), "is required", "the names that clients ask for")
        callers = callers_of(check, match, here, scope)
        ports = ports_of(check, match, here)
        if reaches_mesh(check, match, here) and (callers is None or callers):
            yield tuple(name.lower().removesuffix(".") for name in names), ports


def _concerns(names: tuple[str, ...], host: Target) -> bool:
    if not names or host.name in names:
        return True
    wild = (name[1:] for name in names if name.startswith("*."))
    return any(host.name.endswith(each) for each in wild) or any(
        host.name.startswith("*.") and name.endswith(host.name[1:]) for name in names
    )


def _leads_home(backends: Collection[Backend], host: Target, ports: tuple[int, ...]) -> bool:
    """Whether a route leads where calls to a host go anyway."""
    targets = {each.target for each in backends}
    return all(
        (each.namespace, each.name) == (host.namespace, host.name)
        and (not each.port or ports == (each.port,))
        for each in targets
    )
