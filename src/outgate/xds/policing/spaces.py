"""What one namespace's policies come to: its own filters, and its pieces of those for all namespaces.

Protobuf messages merge when their bytes are joined: maps and repeated fields are added to. So what is for all is joined
from what each namespace was serialised to when it last changed.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf import any_pb2
from google.protobuf.message import Message

from outgate.model.policies import Ruling, rulings
from outgate.model.workloads import Workload
from outgate.traffic.permitting import Effect, Mode, Policy
from outgate.xds import building, naming
from outgate.xds import extensions as ext
from outgate.xds.building import EXTENSION, typed
from outgate.xds.policing import calls, connections, effects, filters, trees
from outgate.xds.policing.connections import Place
from outgate.xds.policing.effects import Counting
from outgate.xds.policing.facts import CALLEE, ELSEWHERE
from outgate.xds.policing.filters import named
from outgate.xds.snapshot import Resource

Policies = tuple[Policy, ...]
"""Those of one namespace."""
Pods = tuple[Workload, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """What follows from the policies alone; the pieces are empty where no rule has such an effect."""

    policies: Policies
    resources: tuple[Resource, ...]
    decided: bytes
    enforced: bool
    limits: bytes
    asked: bytes
    credentials: bytes


@dataclass(frozen=True, slots=True)
class Connections:
    """What is decided on connections that are not HTTP, which depends on pods and places too; by kind of filter."""

    parts: Mapping[str, connections.Part]
    resources: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class Space:
    """A namespace; `caller` says what its pods are to policies, and is empty if it says nothing."""

    name: str
    rules: Rules
    pods: Pods
    caller: bytes
    connections: Connections

    def resources(self) -> Iterator[Resource]:
        """Yield all that is its own."""
        yield calling((self.caller,), self.name)
        yield from self.rules.resources
        yield from self.connections.resources


def rules(namespace: str, policies: Policies, counting: Counting | None) -> Rules:
    """Return what follows from a namespace's policies; `counting` is the rate-limit service that there is."""
    allowing = rulings((each for each in policies if each.mode is Mode.ENFORCE), Effect.ALLOW)
    part = calls.part(namespace, policies, counted=counting is not None)
    decided = _decided(namespace, part)
    limits = _piece(namespace, _counting(namespace, allowing))
    asked = _piece(namespace, _limiting(allowing, counting))
    credentials = _piece(namespace, _injecting(allowing))
    made = Rules(policies, (), decided, part.enforced is not None, limits, asked, credentials)
    own = (
        *of_calls((made,) if policies else (), namespace),
        *_counters(namespace, allowing),
        *_vaults(allowing),
    )
    return replace(made, resources=own)


def of_calls(ruled: Iterable[Rules], namespace: str = "") -> tuple[Resource, ...]:
    """Return the filters of HTTP that follow from policies, for a namespace or all; `ruled` are those with policies."""
    several = tuple(ruled)
    return (
        _deciding(named(filters.HTTP, namespace), several),
        _running(named(filters.LIMITS, namespace), (each.limits for each in several)),
        _running(named(filters.GLOBAL, namespace), (each.asked for each in several)),
        _running(named(filters.CREDENTIALS, namespace), (each.credentials for each in several)),
    )


def caller(namespace: str, policies: Policies, pods: Pods) -> bytes:
    """Return what says what a namespace's pods are to its policies, serialised."""
    message = ext.rbac.RBAC()
    found = calls.pods(namespace, policies, pods) if policies else None
    if found is not None:
        message.shadow_rules_stat_prefix = "caller_"
        message.shadow_matcher.CopyFrom(found)
    return _serialised(message)


def calling(pieces: Iterable[bytes], namespace: str = "") -> Resource:
    """Return the filter that says what pods are to policies, for a namespace or all."""
    return _joined(named(filters.CALLER, namespace), ext.rbac.RBAC(), pieces)


def connected(
    namespace: str, policies: Policies, pods: Pods, places: Iterable[Place]
) -> Connections:
    """Return what is decided on connections, of which `places` are known."""
    known = tuple(places)
    inside = connections.decided_inside(known)
    parts = {
        filters.TCP: connections.part(
            namespace, policies, pods, connections.by_address(known), inside
        ),
        filters.TLS: connections.part(namespace, policies, pods, connections.by_name(known)),
        filters.ADDRESS: connections.part(namespace, policies, pods, connections.by_network(known)),
    }
    return Connections(parts, deciding((parts,), namespace))


def deciding(
    parts: Iterable[Mapping[str, connections.Part]], namespace: str = ""
) -> tuple[Resource, ...]:
    """Return the filters that decide on connections, for a namespace or all."""
    several = tuple(parts)
    return tuple(
        _packed(named(kind, namespace), connections.joined(each[kind] for each in several))
        for kind in (filters.TCP, filters.TLS, filters.ADDRESS)
    )


def _packed(name: str, value: any_pb2.Any) -> Resource:
    config = ext.extension.TypedExtensionConfig(name=name)
    config.typed_config.CopyFrom(value)
    return building.resource(EXTENSION, name, config)


def _joined(name: str, first: Message, pieces: Iterable[bytes]) -> Resource:
    value = building.pack(first)
    value.value = b"".join((value.value, *pieces))
    return _packed(name, value)


def _serialised(message: Message) -> bytes:
    return bytes(message.SerializeToString(deterministic=True))


def _running(name: str, pieces: Iterable[bytes]) -> Resource:
    found = [each for each in pieces if each]
    return _joined(name, trees.running(), found) if found else _idle(name)


def _idle(name: str) -> Resource:
    return _joined(name, ext.rbac.RBAC(), ())


def _piece(namespace: str, entries: Iterable[trees.FieldMatcher]) -> bytes:
    several = list(entries)
    if not several:
        return b""
    message = ext.extension_matcher.ExtensionWithMatcher()
    found = {namespace: trees.nested(trees.listed(several))}
    message.xds_matcher.CopyFrom(trees.by_header(naming.NAMESPACE_HEADER, found))
    return _serialised(message)


def _decided(namespace: str, part: calls.Part) -> bytes:
    message = ext.rbac.RBAC()
    if part.enforced is not None:
        message.matcher.CopyFrom(calls.of(namespace, part.enforced))
    if part.audited is not None:
        message.shadow_matcher.CopyFrom(calls.of(namespace, part.audited))
    return _serialised(message)


def _deciding(name: str, ruled: tuple[Rules, ...]) -> Resource:
    first = ext.rbac.RBAC()
    if ruled:
        first.rules_stat_prefix, first.shadow_rules_stat_prefix = "policy_", "audit_"
        if any(each.enforced for each in ruled):
            first.matcher.on_no_match.CopyFrom(trees.nested(calls.PLAIN))
        else:
            first.matcher.CopyFrom(calls.PLAIN)
    return _joined(name, first, (each.decided for each in ruled))


def _counters(namespace: str, allowing: Iterable[Ruling]) -> Iterator[Resource]:
    for each in allowing:
        if each.rule.local_limit is not None:
            yield from effects.counters(namespace, each, each.rule.local_limit)


def _vaults(allowing: Iterable[Ruling]) -> Iterator[Resource]:
    held = (each.rule.credential for each in allowing)
    # Several rules may have one.
    for each in dict.fromkeys(one for one in held if one is not None):
        yield from effects.vault(each)


def _counting(namespace: str, allowing: Iterable[Ruling]) -> Iterator[trees.FieldMatcher]:
    for each in allowing:
        if (limit := each.rule.local_limit) is not None:
            yield effects.chosen(each.name, effects.counted(namespace, each, limit))


def _limiting(
    allowing: Iterable[Ruling], counting: Counting | None
) -> Iterator[trees.FieldMatcher]:
    for each in allowing if counting else ():
        if counting and (limit := each.rule.global_limit) is not None:
            yield effects.chosen(each.name, effects.limiting(limit, counting))


def _injecting(allowing: Iterable[Ruling]) -> Iterator[trees.FieldMatcher]:
    for each in allowing:
        if each.rule.credential is not None:
            yield effects.chosen(each.name, effects.fetched(each.rule.credential))


def noting(*, any_policy: bool) -> Resource:
    """Return the filter that notes of each call what policies ask about, if there are any."""
    if not any_policy:
        return _idle(filters.CALL)
    subjects = f"%DYNAMIC_METADATA({trees.RBAC_METADATA}:caller_shadow_effective_policy_id)%"
    host = (
        '%COALESCE({"operators": [{"command": "METADATA", "param": "ROUTE:outgate:host"},'
        ' {"command": "REQ", "param": ":AUTHORITY"}]})%'
    )
    values = (
        (naming.STATE_RESOURCE, f"%METADATA(ROUTE:{naming.METADATA}:{CALLEE})%"),
        (naming.STATE_HOST, host),
        (naming.STATE_PATH, "%PATH(NQ:PATH)%"),
        (naming.STATE_SUBJECTS, subjects),
        (naming.STATE_ELSEWHERE, f"%METADATA(ROUTE:{naming.METADATA}:{ELSEWHERE})%"),
    )
    actions = [_state(key, value) for key, value in values]
    form = typed("extensions.filters.http.set_filter_state.v3.Config", on_request_headers=actions)
    return _packed(filters.CALL, building.parse(form, any_pb2.Any()))


def _state(key: str, value: str) -> dict[str, Any]:
    return {
        "object_key": key,
        "factory_key": "envoy.string",
        "format_string": {
            "text_format_source": {"inline_string": value},
            "omit_empty_values": True,
        },
        "skip_if_empty": True,
    }
