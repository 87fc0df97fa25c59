"""TCPRoute (gateway.networking.k8s.io/v1): which backend gets connections, whatever is spoken on them."""

from dataclasses import dataclass

from outgate.resources.documents import Document
from outgate.resources.gateway.reading import GROUP
from outgate.resources.gateway.routes import Form, Route, parse, plain_rule
from outgate.resources.problems import Problem

FIELDS = frozenset(("parentRefs", "useDefaultGateways", "rules"))


@dataclass(frozen=True, slots=True)
class TCPRoute(Route):
    """A valid TCPRoute."""


def parse_tcp_route(
    document: Document, default_namespace: str
) -> tuple[TCPRoute | None, tuple[Problem, ...]]:
    """Read the TCPRoute in `document`, None if anything in it is an error, and all its problems."""
    versions = tuple(f"{GROUP}/{version}" for version in ("v1", "v1alpha2"))
    form = Form(TCPRoute, versions, FIELDS, plain_rule, most_rules=1)
    return parse(document, default_namespace, form)
