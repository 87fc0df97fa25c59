"""TLSRoute (gateway.networking.k8s.io/v1): which backend gets TLS connections, which are passed through."""

from dataclasses import dataclass

from outgate.resources.documents import Document
from outgate.resources.gateway.reading import GROUP
from outgate.resources.gateway.routes import Form, Route, parse, plain_rule
from outgate.resources.problems import Problem

FIELDS = frozenset(("parentRefs", "useDefaultGateways", "hostnames", "rules"))


@dataclass(frozen=True, slots=True)
class TLSRoute(Route):
    """A valid TLSRoute; one of its host names must be that of an XBackend that is its parent."""


def parse_tls_route(
    document: Document, default_namespace: str
) -> tuple[TLSRoute | None, tuple[Problem, ...]]:
    """Read the TLSRoute in `document`, None if anything in it is an error, and all its problems."""
    versions = tuple(f"{GROUP}/{version}" for version in ("v1", "v1alpha3", "v1alpha2"))
    form = Form(TLSRoute, versions, FIELDS, plain_rule, most_rules=1)
    return parse(document, default_namespace, form)
