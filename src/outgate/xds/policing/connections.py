"""Who may open which connection that is not HTTP, decided before the egress connects anywhere.

Envoy's own filter for this (network RBAC) decides at a client's first bytes, when the proxy behind it has long
connected: a server that speaks first would be heard by anybody. So the cluster of a connection is what is decided here,
by expressions (CEL) in a filter that is evaluated first; an expression that fails leads nowhere.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import any_pb2

from outgate.model import policies as model
from outgate.model.addresses import Address
from outgate.model.destinations import Destination, External
from outgate.model.policies import Ruling, ordered, rulings, source_of
from outgate.model.workloads import Workload
from outgate.traffic.permitting import Callee, Effect, Mode, Policy
from outgate.traffic.references import Protocol
from outgate.xds import building, naming
from outgate.xds.building import PREFIX, typed
from outgate.xds.policing.calls import UNKNOWN_POD
from outgate.xds.policing.facts import callee as callee_of
from outgate.xds.policing.facts import host, source

CHUNK = 40
"""Rules in one expression: its parser takes 250 levels, and each rule is one."""
_NAMESPACE, _POD = (f"filter_state['{key}']" for key in (naming.STATE_NAMESPACE, naming.STATE_POD))
_CONFIG = "envoy.extensions.filters.network.set_filter_state.v3.Config"
_SERVER_NAME = "connection.requested_server_name"


@dataclass(frozen=True, slots=True)
class Place:
    """A destination and its virtual address, which is what a connection is known by; TLS is known by its name."""

    destination: Destination
    address: Address


Condition = Callable[[Callee, str], str]
"""Writes whether a connection goes to a callee of a policy in a namespace; empty: it never does."""


def means(callee: Callee, namespace: str, destination: Destination) -> bool:
    """Whether a callee that names a resource or a host, to a policy of a namespace, is this destination."""
    if callee.name:
        return (destination.name.namespace, source(destination)) == source_of(callee, namespace)
    name = host(destination)
    if callee.host.startswith("*."):
        return name.removeprefix("*").endswith(callee.host[1:].lower())
    return name == callee.host.lower()


def by_address(places: Iterable[Place]) -> Condition:
    """Return how connections that are known by their address are judged."""
    known = tuple(places)

    def condition(callee: Callee, namespace: str) -> str:
        if not callee.name and not callee.host:
            return f"destination.port in {_numbers(callee.ports)}" if callee.ports else "true"
        found = [
            at
            for place in known
            if means(callee, namespace, place.destination)
            for port in place.destination.ports
            if port.protocol is Protocol.TCP and (not callee.ports or port.number in callee.ports)
            for at in _at(place.address, port.number)
        ]
        return f"destination.address in [{', '.join(map(_text, sorted(found)))}]" if found else ""

    return condition


def by_network(places: Iterable[Place]) -> Condition:
    """Return how connections by an address in a network are judged: their listener says the resource (`addressed`)."""
    known = tuple(
        each.destination
        for each in places
        if isinstance(each.destination, External) and each.destination.networks
    )

    def condition(callee: Callee, namespace: str) -> str:
        ports = f"destination.port in {_numbers(callee.ports)}" if callee.ports else ""
        if not callee.name and not callee.host:
            return ports or "true"
        found = sorted({callee_of(each) for each in known if means(callee, namespace, each)})
        if not found:
            return ""
        named = ", ".join(f"b{_text(each)}" for each in found)
        is_one = f"filter_state['{naming.STATE_RESOURCE}'] in [{named}]"
        return f"{is_one} && {ports}" if ports else is_one

    return condition


def by_name(places: Iterable[Place]) -> Condition:
    """Return how TLS that is passed through, known by its server name, is judged."""
    known = tuple(places)

    def condition(callee: Callee, namespace: str) -> str:
        ports = f"destination.port in {_numbers(callee.ports)}" if callee.ports else ""
        names = _server_names(callee, namespace, known)
        if names is None:
            return ports or "true"
        return " && ".join(filter(None, (names, ports))) if names else ""

    return condition


def _server_names(callee: Callee, namespace: str, known: Iterable[Place]) -> str | None:
    if callee.name:
        of = (each.destination for each in known)
        hosts = sorted({host(each) for each in of if means(callee, namespace, each)})
    elif callee.host:
        hosts = [callee.host.lower()]
    else:
        return None
    return " || ".join(map(_is_name, hosts)) and f"({' || '.join(map(_is_name, hosts))})"


def _is_name(name: str) -> str:
    if name.startswith("*."):
        return f"{_SERVER_NAME}.endsWith({_text(name[1:])})"
    return f"{_SERVER_NAME} == {_text(name)}"


def _at(address: Address, port: int) -> tuple[str, str]:
    return naming.host_port(address.ipv4, port), naming.host_port(address.ipv6, port)


def decided_inside(places: Iterable[Place]) -> tuple[str, ...]:
    """Return the addresses whose connections come by once more, and are judged then: HTTP beside TCP, and wildcards."""
    found: set[str] = set()
    for place in places:
        wildcard = isinstance(place.destination, External) and place.destination.is_wildcard
        for port in place.destination.ports:
            if wildcard or port.protocol is not Protocol.TCP:
                found.update(_at(place.address, port.number))
    return tuple(sorted(found))


Actions = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Part:
    """What is noted of connections from one namespace, serialised: what decides, and what audits."""

    deciding: bytes = b""
    auditing: bytes = b""


def part(
    namespace: str,
    policies: tuple[Policy, ...],
    pods: tuple[Workload, ...],
    condition: Condition,
    inside: Iterable[str] = (),
) -> Part:
    """Return what a namespace's policies do to its connections."""
    enforced = tuple(each for each in policies if each.mode is Mode.ENFORCE)
    deciding: Actions = []
    auditing: Actions = []
    if enforced:
        deciding += _deciding(namespace, enforced, pods, condition, tuple(inside))
    if len(enforced) < len(policies):
        auditing += _auditing(namespace, policies, pods, condition)
    return Part(_serialised(deciding), _serialised(auditing))


def joined(parts: Iterable[Part]) -> any_pb2.Any:
    """Return the configuration of the filter; without policies it does nothing.

    Protobuf messages merge when their bytes are joined, and repeated fields are appended.
    """
    several = tuple(parts)
    deciding = [each.deciding for each in several if each.deciding]
    if deciding:
        first = (
            _state(key, model.NO_POLICY) for key in (naming.STATE_ALLOWED, naming.STATE_DENIED)
        )
        denied = f"{_NOT_DENIED} ? '' : {_text(naming.DENY)}"
        last = _state(naming.STATE_CLUSTER, f"%CEL({denied})%")
        deciding = [_serialised(first), *deciding, _serialised((last,))]
    made = b"".join((*deciding, *(each.auditing for each in several)))
    return any_pb2.Any(type_url=f"{PREFIX}{_CONFIG}", value=made)


def _serialised(made: Iterable[dict[str, Any]]) -> bytes:
    wrapped = building.parse(
        typed(_CONFIG.removeprefix("envoy."), on_new_connection=list(made)), any_pb2.Any()
    )
    return wrapped.value


def _deciding(
    namespace: str,
    enforced: tuple[Policy, ...],
    known: tuple[Workload, ...],
    condition: Condition,
    inside: tuple[str, ...],
) -> Iterator[dict[str, Any]]:
    for effect, key in (
        (Effect.ALLOW, naming.STATE_ALLOWED),
        (Effect.DENY, naming.STATE_DENIED),
    ):
        yield from _chunks(namespace, key, _rules(enforced, effect, known, condition))
    names = ", ".join(sorted(f"b{_text(each.name.name)}" for each in known))
    unknown = f"!({_POD} in [{names}])" if names else "true"
    yield _chosen(namespace, naming.STATE_DENIED, f"{unknown} ? {_text(UNKNOWN_POD)} : ''")
    passed = f"destination.address in [{', '.join(map(_text, inside))}]" if inside else "false"
    unanswered = (
        f"filter_state['{naming.STATE_ALLOWED}'] in [{', '.join(_NONE)}]"
        f" && {_NOT_DENIED} && !({passed})"
    )
    yield _chosen(namespace, naming.STATE_DENIED, f"{unanswered} ? {_text(model.NO_RULE)} : ''")


def _auditing(
    namespace: str, every: tuple[Policy, ...], known: tuple[Workload, ...], condition: Condition
) -> Iterator[dict[str, Any]]:
    refused = model.audited(model.NO_RULE, allowed=False)
    yield _chosen(namespace, naming.STATE_AUDIT, _text(refused))
    for effect in (Effect.ALLOW, Effect.DENY):
        rules = [
            (model.audited(name, allowed=effect is Effect.ALLOW), wanted)
            for name, wanted in _rules(every, effect, known, condition)
        ]
        yield from _chunks(namespace, naming.STATE_AUDIT, rules)


def _rules(
    policies: Iterable[Policy], effect: Effect, known: tuple[Workload, ...], condition: Condition
) -> list[tuple[str, str]]:
    """Return each rule's name and condition, but for those that no connection falls under."""
    found = []
    for _, ruling, callee in ordered(rulings(policies, effect)):
        called = "" if ruling.http_only else condition(callee, ruling.policy.namespace)
        by = _by(ruling, known)
        if called and by:
            found.append((ruling.name, f"{called} && {by}" if by != "true" else called))
    return found


def _by(ruling: Ruling, known: Iterable[Workload]) -> str:
    subject = ruling.policy.subject
    if not subject.labels and not subject.service_accounts:
        return "true"
    names = sorted(each.name.name for each in known if model.selects(subject, each))
    return f"{_POD} in [{', '.join(f'b{_text(each)}' for each in names)}]" if names else ""


def _chunks(namespace: str, key: str, rules: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    starts = range(0, len(rules), CHUNK)
    # What is set later counts, and the first rule is to be named.
    for start in reversed(starts):
        several = rules[start : start + CHUNK]
        choice = "".join(f"{wanted} ? {_text(name)} : " for name, wanted in several)
        yield _chosen(namespace, key, f"{choice}''")


def _chosen(namespace: str, key: str, expression: str) -> dict[str, Any]:
    return _state(key, f"%CEL({_NAMESPACE} == b{_text(namespace)} ? ({expression}) : '')%")


def _state(key: str, value: str) -> dict[str, Any]:
    action: dict[str, Any] = {
        "object_key": key,
        "format_string": {"text_format_source": {"inline_string": value}},
        "skip_if_empty": True,
    }
    return action | ({"factory_key": "envoy.string"} if key.startswith("outgate.") else {})


def _text(value: str) -> str:
    """Write text in an expression; what may stand here are names and addresses, so nothing else needs escaping."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("%", "\\x25")
    return f"'{escaped}'"


_NONE = [f"b{_text(each)}" for each in (model.NO_POLICY, "-")]
_NOT_DENIED = f"filter_state['{naming.STATE_DENIED}'] == {_NONE[0]}"


def _numbers(ports: Iterable[int]) -> str:
    return f"[{', '.join(map(str, sorted(ports)))}]"


def is_connected(destination: Destination) -> bool:
    """Whether calls to a destination may be other than HTTP, or come by an address that holds for those too."""
    wildcard = isinstance(destination, External) and destination.is_wildcard
    return wildcard or any(not port.is_http for port in destination.ports)
