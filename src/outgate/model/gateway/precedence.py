"""Which of several matches counts, for routes of one parent: the specification's order.

A path that is exact, then the longest prefix, then a method, then most headers, then most parameters; then the older
route, then by namespace and name, then the earlier rule. Regular expressions, whose place is left to implementations,
come between exact paths and prefixes, the longer one first.
"""

import re
from dataclasses import dataclass

from outgate.resources.gateway.grpcroutes import GRPCRoute
from outgate.resources.gateway.matches import ANY_SEGMENT
from outgate.resources.gateway.routes import Route
from outgate.traffic.routing import Comparison, Match

_KINDS = {Comparison.EXACT: 2, Comparison.REGEX: 1, Comparison.PATH_PREFIX: 0}
_CALLED = re.compile(r"/\(\?:(.*)\)/\(\?:(.*)\)")


@dataclass(frozen=True, slots=True, order=True)
class Rank:
    """The lower one counts; each part is compared before the next."""

    match: tuple[int, ...]
    created: str
    namespace: str
    name: str
    rule: int
    index: int


def rank(route: Route, match: Match, rule: int, index: int) -> Rank:
    """Return where a match of a route stands: the number of its rule, and its own in there."""
    best = _grpc(match) if isinstance(route, GRPCRoute) else _http(match)
    metadata = route.metadata
    return Rank(
        tuple(-each for each in best),
        metadata.creation_timestamp,
        metadata.namespace,
        metadata.name,
        rule,
        index,
    )


def _http(match: Match) -> tuple[int, ...]:
    kind, length = (_KINDS[match.path.comparison], len(match.path.value)) if match.path else (0, 1)
    return kind, length, len(match.methods), len(match.headers), len(match.query)


def _grpc(match: Match) -> tuple[int, ...]:
    service, method = _called(match)
    return len(service), len(method), len(match.headers)


def _called(match: Match) -> tuple[str, str]:
    """Return what a match says of the service and of the method; empty where it does not."""
    if match.path is None:
        return "", ""
    if match.path.comparison is not Comparison.REGEX:
        service, _, method = match.path.value.removeprefix("/").partition("/")
        return service, method
    found = _CALLED.fullmatch(match.path.value)
    service, method = found.groups() if found else ("", "")
    return service.removeprefix(ANY_SEGMENT), method.removeprefix(ANY_SEGMENT)
