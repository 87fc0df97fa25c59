"""Writes a destination's rules as routes, in their order; what they do not cover is as without rules, or is refused.

Where a rule is for a caller and a port, the rules are all there is for that caller and port: what matches none of them
is answered with 404, as Gateway API and Istio have it. A front end for which the destination goes on to be called
by default says so by a last rule without matches.
"""

from collections.abc import Iterator
from typing import Any

from google.protobuf import any_pb2

from outgate.model.destinations import Destination, External, Port
from outgate.model.visibility import EVERYONE, Callers
from outgate.traffic.routing import Comparison, Fault, Field, Match, Rule, Text
from outgate.xds import actions, building, denials, edits, matching, naming
from outgate.xds import extensions as ext
from outgate.xds.actions import Called
from outgate.xds.policing.facts import ELSEWHERE, facts

_ASKS = Field("accept-encoding", Text(Comparison.PRESENT))


def add(
    host: ext.route_components.VirtualHost, destination: Destination, port: Port, callers: Callers
) -> None:
    """Add the routes of one port of a destination, for some callers of its host."""
    ruled: frozenset[str] | None = frozenset()
    if isinstance(destination, External) and (rules := _for_port(destination, port)):
        called = Called(destination, port)
        for rule in rules:
            for match in rule.matches or (Match(),):
                _add_rule(host, called, callers, rule, match)
        ruled = _callers(rules)
        if not any(_is_for_all(each) for each in rules):
            _add_unmatched(host, called, callers, ruled)
    if ruled is not None:
        _add_default(host, destination, port, callers)


def add_own(
    host: ext.route_components.VirtualHost, destination: External, callers: Callers
) -> None:
    """Refuse calls by way of a wildcard to what callers see declared by itself."""
    route = host.routes.add()
    route.match.prefix = "/"
    asked = route.match.headers.add(name=":authority")
    if destination.is_wildcard:
        asked.string_match.safe_regex.regex = naming.below(destination.name.name)
    else:
        asked.string_match.exact = destination.name.name
        asked.string_match.ignore_case = True
    matching.by(route.match, callers)
    note(route, service=str(destination.name), resource=destination.source, **facts(destination))
    _refuse(route, 403, denials.OWN)


def _for_port(destination: External, port: Port) -> tuple[Rule, ...]:
    """Return the rules of a port that are for anybody at all."""
    return tuple(
        each
        for each in destination.rules
        if (not each.ports or port.number in each.ports) and each.callers != frozenset()
    )


def _is_for_all(rule: Rule) -> bool:
    return rule.callers is None and (not rule.matches or Match() in rule.matches)


def _callers(rules: tuple[Rule, ...]) -> frozenset[str] | None:
    """Return for whose calls there are rules; None: for everybody's."""
    found: set[str] = set()
    for each in rules:
        if each.callers is None:
            return None
        found |= each.callers
    return frozenset(found)


def _route(
    host: ext.route_components.VirtualHost,
    destination: Destination,
    port: Port,
    *callers: Callers,
) -> ext.route_components.Route:
    """Begin a route: what it matches but for the path, and what the log says of it."""
    route = host.routes.add(name=denials.DECLARED)
    matching.on_port(route.match, port.number)
    for each in callers:
        matching.by(route.match, each)
    note(route, service=str(destination.name), decision=denials.ALLOWED, **facts(destination))
    if isinstance(destination, External) and destination.source:
        note(route, resource=destination.source)
    return route


def note(route: ext.route_components.Route, **fields: str) -> None:
    """Put words for the log and for answers into a route's metadata."""
    route.metadata.filter_metadata[naming.METADATA].update(fields)


def _add_default(
    host: ext.route_components.VirtualHost, destination: Destination, port: Port, callers: Callers
) -> None:
    route = _route(host, destination, port, callers)
    route.match.prefix = "/"
    actions.lead_to(route.route, destination, port)
    actions.limit(route.route)
    actions.retry(route.route)
    if port.upstream.balancing is not None:
        actions.hash_by(route.route, port.upstream.balancing.hashes)
        _know_caller(route)


def _only(namespaces: frozenset[str] | None) -> Callers:
    return EVERYONE if namespaces is None else Callers(namespaces, others=False)


def _add_unmatched(
    host: ext.route_components.VirtualHost,
    called: Called,
    callers: Callers,
    ruled: frozenset[str] | None,
) -> None:
    route = _route(host, called.destination, called.port, callers, _only(ruled))
    route.match.prefix = "/"
    _refuse(route, 404, denials.NO_RULE)


def _refuse(route: ext.route_components.Route, status: int, reason: str) -> None:
    route.name = reason
    note(route, decision=denials.REFUSED)
    route.direct_response.status = status
    building.parse(denials.refusal(reason), route.direct_response.body_format)


def _add_rule(
    host: ext.route_components.VirtualHost,
    called: Called,
    callers: Callers,
    rule: Rule,
    match: Match,
) -> None:
    for wanted, decompress in _variants(rule, match):
        route = _route(host, called.destination, called.port, callers, _only(rule.callers))
        matching.fill(route.match, wanted)
        if rule.source:
            note(route, rule=rule.source)
        if rule.backends or rule.mirrors:
            note(route, **{ELSEWHERE: rule.source or denials.DECLARED})
        _act(route, called, rule, wanted)
        edits.headers(route, rule.request, rule.response)
        for name, config in _filters(rule, decompress=decompress):
            route.typed_per_filter_config[name].CopyFrom(building.pack(config))


def _variants(rule: Rule, match: Match) -> Iterator[tuple[Match, bool]]:
    """Yield a match, and whether its answers are decompressed: not where the application asks for compressed ones."""
    if rule.decompress:
        yield Match(match.path, match.methods, (*match.headers, _ASKS), match.query), False
    yield match, rule.decompress


def _act(route: ext.route_components.Route, called: Called, rule: Rule, match: Match) -> None:
    if rule.redirect is not None:
        edits.redirect(route.redirect, rule.redirect, match, called.port.number)
    elif rule.answer is not None:
        route.direct_response.status = rule.answer.status
        if rule.answer.body:
            route.direct_response.body.inline_string = rule.answer.body
    elif rule.backends and not any(each.weight and called.members(each) for each in rule.backends):
        # Gateway API: what leads nowhere is an error of the server's.
        _refuse(route, 500, denials.NO_BACKEND)
    else:
        actions.forward(route.route, called, rule, match)
        _know_caller(route)


def _know_caller(route: ext.route_components.Route) -> None:
    """Let the caller be hashed where it is to be: headers that we set are gone by then."""
    if any(each.filter_state.key for each in route.route.hash_policy):
        route.typed_per_filter_config[naming.CALLER].CopyFrom(building.pack(_switch()))


def _switch() -> ext.route_components.FilterConfig:
    """Switch a filter on as the listener has it."""
    # It is the presence of an empty configuration that does it.
    return ext.route_components.FilterConfig(config=any_pb2.Any())


def _filters(rule: Rule, *, decompress: bool) -> Iterator[tuple[str, Any]]:
    if rule.fault is not None:
        yield naming.FAULT, _fault(rule.fault)
    if rule.max_body is not None:
        limited = ext.buffer.BufferPerRoute()
        limited.buffer.max_request_bytes.value = rule.max_body
        yield naming.BUFFER, limited
    if decompress:
        for name in (naming.GZIP, naming.BROTLI):
            yield name, _switch()


def _fault(fault: Fault) -> ext.fault.HTTPFault:
    config = ext.fault.HTTPFault()
    if fault.delay is not None:
        building.duration(config.delay.fixed_delay, fault.delay)
        actions.part(config.delay.percentage, fault.delay_percent)
    if fault.grpc_abort is not None:
        config.abort.grpc_status = fault.grpc_abort
    elif fault.abort is not None:
        config.abort.http_status = fault.abort
    if fault.grpc_abort is not None or fault.abort is not None:
        actions.part(config.abort.percentage, fault.abort_percent)
    return config
