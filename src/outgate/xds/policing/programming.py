"""All policies as the egress Envoy's resources, and as a value that a change turns into the next one.

A namespace's policies are rendered anew when one of them changes; what others were rendered to is shared. What is for
callers from anywhere is joined from pieces that were serialised before.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from outgate.model.workloads import Workload
from outgate.xds.egress import Delta, Key, key_of
from outgate.xds.policing import spaces
from outgate.xds.policing.connections import Place
from outgate.xds.policing.effects import Counting
from outgate.xds.policing.spaces import Pods, Policies, Space
from outgate.xds.snapshot import Resource


@dataclass(frozen=True, slots=True)
class Policed:
    """What is programmed for policies, by namespace; `places` are what can be called other than by HTTP.

    `policies` are those of namespaces that have some; of `spaces`, others may only have pods.
    """

    policies: Mapping[str, Policies] = field(default_factory=lambda: MappingProxyType({}))
    spaces: Mapping[str, Space] = field(default_factory=lambda: MappingProxyType({}))
    places: tuple[Place, ...] = ()
    resources: Mapping[Key, Resource] = field(default_factory=lambda: MappingProxyType({}))


def program(
    previous: Policed,
    changed: Mapping[str, tuple[Policies, tuple[Workload, ...]]],
    places: tuple[Place, ...],
    counting: Counting | None,
) -> tuple[Policed, Delta]:
    """Return what is programmed after a change, and how the snapshot changes.

    `changed` are namespaces' policies and pods, as they are now; one that has neither is forgotten.
    """
    known = dict(previous.spaces)
    for name, (own, pods) in changed.items():
        before = known.pop(name, None)
        if own or pods:
            known[name] = _space(name, own, pods, places, before, counting)
    if places != previous.places:
        for name in previous.policies.keys() & known.keys() - changed.keys():
            space = known[name]
            decided = spaces.connected(name, space.rules.policies, space.pods, places)
            known[name] = replace(space, connections=decided)
    every = (one for each in known.values() for one in each.resources())
    made = {key_of(each): each for each in (*every, *_shared(known, counting))}
    old = previous.resources
    delta = Delta(
        tuple(each for key, each in made.items() if old.get(key) != each),
        tuple(key for key in old if key not in made),
    )
    policies = {name: each.rules.policies for name, each in known.items() if each.rules.policies}
    return Policed(policies, known, places, made), delta


def _space(
    name: str,
    policies: Policies,
    pods: Pods,
    places: Iterable[Place],
    before: Space | None,
    counting: Counting | None,
) -> Space:
    same = before is not None and before.rules.policies == policies
    rules = before.rules if before and same else spaces.rules(name, policies, counting)
    caller = spaces.caller(name, policies, pods)
    return Space(name, rules, pods, caller, spaces.connected(name, policies, pods, places))


def _shared(known: Mapping[str, Space], counting: Counting | None) -> list[Resource]:
    """Return the filters for callers from anywhere, and the way to the rate-limit service."""
    ruled = [each for _, each in sorted(known.items()) if each.rules.policies]
    return [
        spaces.noting(any_policy=bool(ruled)),
        spaces.calling(each.caller for each in ruled),
        *spaces.of_calls(each.rules for each in ruled),
        *spaces.deciding(each.connections.parts for each in ruled),
        *([counting.cluster()] if counting else []),
    ]
