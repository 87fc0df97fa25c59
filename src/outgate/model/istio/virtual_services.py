"""VirtualService to rules for each of its hosts."""

from dataclasses import replace

from outgate.model.declarations import Declarations, Routing, Source
from outgate.model.names import Name
from outgate.resources.istio.virtual_services import VirtualService
from outgate.resources.paths import item
from outgate.traffic.references import Target
from outgate.traffic.routing import Backend, Edits, Rewrite, Rule


def virtual_service(service: VirtualService) -> Declarations:
    """Return what a VirtualService attaches to its hosts."""
    meta = service.metadata
    source = Source("VirtualService", meta.namespace, meta.name)
    routings = tuple(
        Routing(
            Name(host.namespace, host.name),
            tuple(_for_host(rule, host) for rule in service.rules),
            path=item("spec.hosts", index),
        )
        for index, host in service.hosts
    )
    return Declarations(source, service.location, meta.creation_timestamp, routings=routings)


def _for_host(rule: Rule, host: Target) -> Rule:
    """Return a rule that leads to its own host as one that leads nowhere else; others keep the Host that was called."""
    if len(rule.backends) != 1 or not _is_own(rule.backends[0], host, rule.ports):
        return replace(rule, rewrite=_keeping(rule, host))
    only = rule.backends[0]
    return replace(
        rule,
        backends=(),
        request=_joined(rule.request, only.request),
        response=_joined(rule.response, only.response),
    )


def _keeping(rule: Rule, host: Target) -> Rewrite | None:
    """Return a rewrite to the Host that was called, which Istio sends wherever a route leads."""
    rewrite = rule.rewrite or Rewrite()
    known = "." in host.name and not host.name.startswith("*.")
    if rewrite.host or not known or not rule.backends:
        return rule.rewrite
    port = next(iter(rule.ports), 80)
    return replace(rewrite, host=host.name if port == 80 else f"{host.name}:{port}")


def _is_own(backend: Backend, host: Target, ports: tuple[int, ...]) -> bool:
    target = backend.target
    same = (target.namespace, target.name) == (host.namespace, host.name)
    return same and (not target.port or ports == (target.port,))


def _joined(outer: Edits, inner: Edits) -> Edits:
    """Return the changes of a route's one destination, and then the route's, as Envoy makes them."""
    kept = dict((*inner.put, *outer.put))
    return Edits(
        put=tuple(kept.items()),
        add=(*inner.add, *outer.add),
        remove=tuple(dict.fromkeys((*inner.remove, *outer.remove))),
    )
