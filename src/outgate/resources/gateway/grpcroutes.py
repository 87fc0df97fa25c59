"""GRPCRoute (gateway.networking.k8s.io/v1): which backend gets which calls of gRPC."""

from dataclasses import dataclass

from outgate.resources.checks import Checker
from outgate.resources.documents import Document
from outgate.resources.gateway import filters, matches, reading
from outgate.resources.gateway.filters import GRPC_TYPES, Where
from outgate.resources.gateway.httproutes import http_backends, warn_empty
from outgate.resources.gateway.reading import GROUP, Fields
from outgate.resources.gateway.routes import MOST_MATCHES, Form, Route, Rule, each, parse
from outgate.resources.problems import Problem
from outgate.traffic.routing import Match

FIELDS = frozenset(("parentRefs", "useDefaultGateways", "hostnames", "rules"))
RULE_FIELDS = frozenset(("name", "matches", "filters", "backendRefs", "sessionPersistence"))


@dataclass(frozen=True, slots=True)
class GRPCRoute(Route):
    """A valid GRPCRoute."""


def parse_grpc_route(
    document: Document, default_namespace: str
) -> tuple[GRPCRoute | None, tuple[Problem, ...]]:
    """Read the GRPCRoute in `document`, None if anything in it is an error, and all its problems."""
    hint = "match the header :authority instead"
    form = Form(GRPCRoute, (f"{GROUP}/v1",), FIELDS, _rule, hint)
    return parse(document, default_namespace, form)


def _rule(check: Checker, entry: Fields, path: str, namespace: str) -> Rule:
    check.unknown_fields(entry, path, RULE_FIELDS)
    hint = "an ExternalService can hash on a header (loadBalancing)"
    reading.unsupported(check, entry, path, {"sessionPersistence": hint})
    found = each(
        check, entry, path, "matches", lambda one, at: matches.grpc(check, one, at), MOST_MATCHES
    )
    made = filters.filters(check, entry, path, Where(namespace, GRPC_TYPES, found))
    warn_empty(check, entry, path)
    where = Where(namespace, GRPC_TYPES, of_backend=True)
    return Rule(
        path=path,
        matches=found or (Match(),),
        backends=http_backends(check, entry, path, where),
        mirrors=made.mirrors,
        request=made.request,
        response=made.response,
        unsupported=made.unsupported,
    )
