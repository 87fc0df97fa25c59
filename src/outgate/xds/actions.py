"""Writes where a request goes that has found its route, how long that may take, and how often it is tried."""

from collections.abc import Iterable
from dataclasses import dataclass

from outgate.model import peers
from outgate.model.destinations import Destination, External, Peer, Port
from outgate.traffic.routing import Backend, Match, Mirror, Retries, Rule, Timeouts
from outgate.traffic.upstream import Hash, HashKey, Resolution
from outgate.xds import building, edits, failovers, naming, originating
from outgate.xds import extensions as ext

RETRY_ON = "connect-failure,refused-stream,reset-before-request"
"""Failures in which the request cannot have been acted upon, so that any method may be tried again."""
RETRIES = 2
BACKOFF_SECONDS = 0.025
"""Envoy's own, where only the longest is said."""
OTHER_HOST_ATTEMPTS = 5
"""How often another endpoint is looked for that has not been tried yet; Istio's number."""
MILLION = 1_000_000
UNLIMITED = Timeouts()
_OFF = building.pack(ext.route_components.FilterConfig(disabled=True))


@dataclass(frozen=True, slots=True)
class Called:
    """What is called: a port of a destination."""

    destination: External
    port: Port

    def members(self, backend: Backend) -> tuple[Peer, ...]:
        """Return a backend and what is used as it fails; nothing where the backend itself is not there."""
        targets = (backend.target, *backend.failover)
        found = [peers.find(self.destination, each, self.port.number) for each in targets]
        return tuple(each for each in found if each is not None) if found[0] is not None else ()


def lead_to(action: ext.route_components.RouteAction, called: Destination, port: Port) -> None:
    """Call the destination itself."""
    action.cluster = naming.http_cluster(called.name, port.number)
    if not isinstance(called, External):
        return
    host = originating.authority(called.host, port)
    if port.upstream.resolution is Resolution.ADDRESS:
        return
    if not called.is_wildcard:
        action.host_rewrite_literal = host
    elif host != called.host:
        # The listener has taken the port out of the name that was asked for.
        action.host_rewrite = f"%REQ(:AUTHORITY)%:{port.outside}"


def forward(
    action: ext.route_components.RouteAction, called: Called, rule: Rule, match: Match
) -> None:
    """Do all that a rule says of a request that goes on."""
    if rule.backends:
        _split(action, called, rule)
    else:
        lead_to(action, called.destination, called.port)
    if host := (rule.rewrite.host if rule.rewrite else "") or edits.host(rule.request):
        action.host_rewrite_literal = host
    if rule.rewrite is not None:
        edits.path(action, rule.rewrite, match)
    limit(action, rule.timeouts)
    retry(action, rule.retries)
    for mirror in rule.mirrors:
        _mirror(action, called, mirror)
    hash_by(action, _hashes(called, rule))


def _split(action: ext.route_components.RouteAction, called: Called, rule: Rule) -> None:
    shares = [each for each in rule.backends if each.weight]
    plain = len(shares) == 1 and shares[0].request == shares[0].response
    if plain and (members := called.members(shares[0])):
        action.cluster = _cluster(called, shares[0])
        _rewrite_host(action, members)
        return
    for each in shares:
        share = action.weighted_clusters.clusters.add()
        share.weight.value = each.weight
        edits.headers(share, each.request, each.response)
        members = called.members(each)
        if not members:
            share.name = naming.missing(each.target)
            action.cluster_not_found_response_code = (
                ext.route_components.RouteAction.INTERNAL_SERVER_ERROR
            )
            # It is not to be waited for.
            share.typed_per_filter_config[naming.ON_DEMAND].CopyFrom(_OFF)
            continue
        share.name = _cluster(called, each)
        share.host_rewrite_literal = edits.host(each.request) or originating.authority(
            members[0].host, members[0].port
        )


def _cluster(called: Called, backend: Backend) -> str:
    chosen = failovers.members(backend, called.port.number)
    if len(chosen) > 1:
        return naming.failover(called.destination.name, chosen)
    peer = called.members(backend)[0]
    return naming.http_cluster(peer.name, peer.port.number)


def _rewrite_host(action: ext.route_components.RouteAction, members: tuple[Peer, ...]) -> None:
    hosts = {originating.authority(each.host, each.port) for each in members}
    if len(hosts) == 1:
        (action.host_rewrite_literal,) = hosts
    else:
        # Of the endpoint that is chosen.
        action.auto_host_rewrite.value = True


def _mirror(action: ext.route_components.RouteAction, called: Called, mirror: Mirror) -> None:
    peer = peers.find(called.destination, mirror.target, called.port.number)
    if peer is None:
        return
    policy = action.request_mirror_policies.add()
    policy.cluster = naming.mirror(called.destination.name, peer.name, peer.port.number)
    policy.host_rewrite_literal = originating.authority(peer.host, peer.port)
    policy.disable_shadow_host_suffix_append = True
    part(policy.runtime_fraction.default_value, mirror.percent)


def part(fraction: ext.percent.FractionalPercent, percent: float) -> None:
    """Write a percentage, to four digits after the point."""
    fraction.numerator = round(percent * MILLION / 100)
    fraction.denominator = ext.percent.FractionalPercent.MILLION


def limit(action: ext.route_components.RouteAction, timeouts: Timeouts = UNLIMITED) -> None:
    """Set how long a request may take; 0 is for ever, and what ends it is silence then."""
    # Downloads may be long: what ends a request by itself is silence (the idle timeout), not its length.
    building.duration(action.timeout, timeouts.request or 0)
    if timeouts.idle is not None:
        building.duration(action.idle_timeout, timeouts.idle)


def retry(action: ext.route_components.RouteAction, retries: Retries | None = None) -> None:
    """Set which failures are tried again; nothing said is those in which the request cannot have been acted upon."""
    policy = action.retry_policy
    if retries is None:
        policy.retry_on, policy.num_retries.value = RETRY_ON, RETRIES
        return
    if not retries.attempts:
        action.ClearField("retry_policy")
        return
    conditions = list(retries.on) or [RETRY_ON]
    if retries.statuses:
        conditions.append("retriable-status-codes")
        policy.retriable_status_codes.extend(retries.statuses)
    policy.retry_on = ",".join(dict.fromkeys(conditions))
    policy.num_retries.value = retries.attempts
    if retries.per_try is not None:
        building.duration(policy.per_try_timeout, retries.per_try)
    if retries.per_try_idle is not None:
        building.duration(policy.per_try_idle_timeout, retries.per_try_idle)
    _back_off(policy, retries)
    if retries.hedge:
        action.hedge_policy.hedge_on_per_try_timeout = True
    other = policy.retry_host_predicate.add(name="envoy.retry_host_predicates.previous_hosts")
    other.typed_config.CopyFrom(building.pack(ext.previous_hosts.PreviousHostsPredicate()))
    policy.host_selection_retry_max_attempts = OTHER_HOST_ATTEMPTS


def _back_off(policy: ext.route_components.RetryPolicy, retries: Retries) -> None:
    if retries.backoff is None and retries.backoff_max is None:
        return
    base = BACKOFF_SECONDS if retries.backoff is None else retries.backoff
    building.duration(policy.retry_back_off.base_interval, base)
    if retries.backoff_max is not None:
        building.duration(policy.retry_back_off.max_interval, max(base, retries.backoff_max))


def _hashes(called: Called, rule: Rule) -> Iterable[Hash]:
    ports = [called.port]
    if rule.backends:
        ports = [peer.port for each in rule.backends for peer in called.members(each)]
    balancings = (each.upstream.balancing for each in ports)
    return dict.fromkeys(one for each in balancings if each is not None for one in each.hashes)


def hash_by(action: ext.route_components.RouteAction, hashes: Iterable[Hash]) -> None:
    """Set what of a request chooses an endpoint on a ring; the first that a request has counts alone."""
    for each in hashes:
        policy = action.hash_policy.add(terminal=True)
        match each.by:
            case HashKey.HEADER:
                policy.header.header_name = each.name
            case HashKey.COOKIE:
                policy.cookie.name = each.name
                if each.ttl is not None:
                    policy.cookie.path = "/"
                    building.duration(policy.cookie.ttl, each.ttl)
            case HashKey.QUERY:
                policy.query_parameter.name = each.name
            case HashKey.SOURCE:
                # The pod: connections arrive from the loopback, whoever makes them.
                policy.filter_state.key = naming.STATE_CALLER
