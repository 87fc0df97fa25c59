"""All policies as the egress Envoy's resources, and as a value that a change turns into the next one.

A namespace's policies are rendered anew when one of them changes; what others were rendered to is shared.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from google.protobuf.message import Message

from outgate.model.policies import Ruling, rulings
from outgate.model.workloads import Workload
from outgate.traffic.permitting import Effect, Mode, Policy
from outgate.xds import building, naming
from outgate.xds import extensions as ext
from outgate.xds.building import EXTENSION, typed
from outgate.xds.egress import Delta, Key, key_of
from outgate.xds.policing import calls, connections, effects, filters, trees
from outgate.xds.policing.connections import Place
from outgate.xds.policing.effects import Counting
from outgate.xds.policing.facts import CALLEE, ELSEWHERE
from outgate.xds.snapshot import Resource

Policies = tuple[Policy, ...]
"""Those of one namespace."""
Entries = dict[str, list[trees.FieldMatcher]]


@dataclass(frozen=True, slots=True)
class Policed:
    """What is programmed for policies, by namespace; `places` are what can be called other than by HTTP."""

    policies: Mapping[str, tuple[Policy, ...]] = field(default_factory=lambda: MappingProxyType({}))
    pods: Mapping[str, tuple[Workload, ...]] = field(default_factory=lambda: MappingProxyType({}))
    parts: Mapping[str, calls.Part] = field(default_factory=lambda: MappingProxyType({}))
    places: tuple[Place, ...] = ()
    resources: Mapping[Key, Resource] = field(default_factory=lambda: MappingProxyType({}))


def program(
    previous: Policed,
    changed: Mapping[str, tuple[Policies, tuple[Workload, ...]]],
    places: tuple[Place, ...],
    counting: Counting | None,
) -> tuple[Policed, Delta]:
    """Return what is programmed after a change, and how the snapshot changes.

    `changed` are namespaces' policies and pods, as they are now.
    """
    policies, pods, parts = dict(previous.policies), dict(previous.pods), dict(previous.parts)
    for name, (own, members) in changed.items():
        policies[name], pods[name] = own, members
        parts[name] = calls.part(name, own, members, counted=counting is not None)
        if not own:
            del policies[name], pods[name], parts[name]
    made = {
        key_of(each): each
        for each in (
            *_of_calls(policies, parts, counting),
            *_of_connections(policies, pods, places),
            *_counters(policies),
            *_anchors(policies),
            *([counting.cluster()] if counting else []),
        )
    }
    before = previous.resources
    delta = Delta(
        tuple(each for key, each in made.items() if before.get(key) != each),
        tuple(key for key in before if key not in made),
    )
    return Policed(policies, pods, parts, places, made), delta


def _resource(name: str, message: Message) -> Resource:
    config = ext.extension.TypedExtensionConfig(name=name)
    config.typed_config.CopyFrom(building.pack(message))
    return building.resource(EXTENSION, name, config)


def _parsed(name: str, form: Mapping[str, Any]) -> Resource:
    config = {"name": name, "typed_config": form}
    return building.resource(
        EXTENSION, name, building.parse(config, ext.extension.TypedExtensionConfig())
    )


def _of_calls(
    policies: Mapping[str, tuple[Policy, ...]],
    parts: Mapping[str, calls.Part],
    counting: Counting | None,
) -> list[Resource]:
    caller, decided = ext.rbac.RBAC(), ext.rbac.RBAC()
    if policies:
        if (pods := calls.pods(parts)) is not None:
            caller.shadow_rules_stat_prefix = "caller_"
            caller.shadow_matcher.CopyFrom(pods)
        decided.rules_stat_prefix, decided.shadow_rules_stat_prefix = "policy_", "audit_"
        decided.matcher.CopyFrom(calls.enforced(parts))
        if (audited := calls.audited(parts)) is not None:
            decided.shadow_matcher.CopyFrom(audited)
    allowing = _allowing(policies)
    return [
        _resource(filters.CALLER, caller),
        _parsed(filters.CALL, _facts() if policies else _states(())),
        _resource(filters.HTTP, decided),
        _resource(filters.LIMITS, effects.composite(_counting(allowing))),
        _resource(filters.GLOBAL, effects.composite(_limiting(allowing, counting))),
        _resource(filters.CREDENTIALS, effects.composite(_injecting(allowing))),
    ]


Allowing = Mapping[str, tuple[Ruling, ...]]
"""The enforced rules that allow, by namespace."""


def _allowing(policies: Mapping[str, Policies]) -> Allowing:
    return {
        name: rulings((each for each in own if each.mode is Mode.ENFORCE), Effect.ALLOW)
        for name, own in sorted(policies.items())
    }


def _counters(policies: Mapping[str, Policies]) -> list[Resource]:
    return [
        made
        for name, several in _allowing(policies).items()
        for each in several
        if each.rule.local_limit is not None
        for made in effects.counters(name, each, each.rule.local_limit)
    ]


def _anchors(policies: Mapping[str, Policies]) -> list[Resource]:
    found = (each.rule.credential for own in _allowing(policies).values() for each in own)
    return [effects.anchor(each) for each in found if each is not None]


def _counting(allowing: Allowing) -> Entries:
    return {
        name: [
            effects.chosen(each.name, effects.counted(name, each, each.rule.local_limit))
            for each in several
            if each.rule.local_limit is not None
        ]
        for name, several in allowing.items()
    }


def _limiting(allowing: Allowing, counting: Counting | None) -> Entries:
    if counting is None:
        return {}
    return {
        name: [
            effects.chosen(each.name, effects.limiting(each.rule.global_limit, counting))
            for each in several
            if each.rule.global_limit is not None
        ]
        for name, several in allowing.items()
    }


def _injecting(allowing: Allowing) -> Entries:
    return {
        name: [
            effects.chosen(each.name, effects.injecting(each.rule.credential))
            for each in several
            if each.rule.credential is not None
        ]
        for name, several in allowing.items()
    }


def _facts() -> dict[str, Any]:
    """Return the filter that notes of each call what policies ask about."""
    subjects = f"%DYNAMIC_METADATA({trees.RBAC_METADATA}:caller_shadow_effective_policy_id)%"
    host = (
        '%COALESCE({"operators": [{"command": "METADATA", "param": "ROUTE:outgate:host"},'
        ' {"command": "REQ", "param": ":AUTHORITY"}]})%'
    )
    return _states(
        (
            (naming.STATE_RESOURCE, f"%METADATA(ROUTE:{naming.METADATA}:{CALLEE})%"),
            (naming.STATE_HOST, host),
            (naming.STATE_PATH, "%PATH(NQ:PATH)%"),
            (naming.STATE_SUBJECTS, subjects),
            (naming.STATE_ELSEWHERE, f"%METADATA(ROUTE:{naming.METADATA}:{ELSEWHERE})%"),
        )
    )


def _states(values: Iterable[tuple[str, str]]) -> dict[str, Any]:
    actions = [
        {
            "object_key": key,
            "factory_key": "envoy.string",
            "format_string": {
                "text_format_source": {"inline_string": value},
                "omit_empty_values": True,
            },
            "skip_if_empty": True,
        }
        for key, value in values
    ]
    return typed("extensions.filters.http.set_filter_state.v3.Config", on_request_headers=actions)


def _of_connections(
    policies: Mapping[str, tuple[Policy, ...]],
    pods: Mapping[str, tuple[Workload, ...]],
    places: tuple[Place, ...],
) -> list[Resource]:
    inside = connections.decided_inside(places)
    tcp = connections.actions(policies, pods, connections.by_address(places), inside)
    tls = connections.actions(policies, pods, connections.by_name(places))
    own = connections.actions(policies, pods, connections.by_network(places))
    return [
        _parsed(filters.TCP, tcp),
        _parsed(filters.TLS, tls),
        _parsed(filters.ADDRESS, own),
    ]
