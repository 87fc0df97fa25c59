"""What follows from a change of destinations: which holders of addresses, and which scopes, are made anew.

All of it is by holder (`holding.Holder`): a Service, or a host with all who declare it. A change touches the holders
that it names, those whose address moves by it, and the hosts for which a wildcard stands that it names.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from outgate.model.addresses import Allocation, holder
from outgate.model.destinations import Destination, External
from outgate.model.names import Name
from outgate.model.visibility import Own, covers, expanded
from outgate.settings import Settings
from outgate.xds import holding, routes
from outgate.xds.clusters import Upstream
from outgate.xds.holding import Holder
from outgate.xds.snapshot import Resource

Key = tuple[str, str]
"""By which a scope is found (`routes.scope_key`)."""
Made = Mapping[Name, tuple[Resource, ...]]
"""Clusters and inner listeners, by holder."""


@dataclass(frozen=True, slots=True)
class Scopes:
    """The scopes of routes: which holders are in each, and what it was serialised to."""

    members: Mapping[Key, frozenset[Name]] = field(default_factory=lambda: MappingProxyType({}))
    made: Mapping[Key, Resource] = field(default_factory=lambda: MappingProxyType({}))


def regroup(
    before: Mapping[Name, Holder], wanted: Mapping[Name, Destination], gone: Iterable[Name]
) -> tuple[dict[Name, Holder], frozenset[Name]]:
    """Return the holders after a change, and those that it touches, gone or not."""
    after = dict(before)
    touched: set[Name] = set()
    for name in (*gone, *wanted):
        key = holder(name)
        held = after.pop(key, None)
        others = tuple(each for each in held.declared if each.name != name) if held else ()
        declared = (*others, wanted[name]) if name in wanted else others
        if declared:
            after[key] = Holder(key, tuple(sorted(declared, key=lambda each: each.name)))
        touched.add(key)
    for wildcard in [each.name for each in touched if each.name.startswith("*.")]:
        touched |= {each for each in after if covers(wildcard, each.name)}
    for key in touched & after.keys():
        if "." in key.name:
            after[key] = replace(after[key], wild=_wild(key.name, after))
    for key in {above for each in touched for above in _above(each.name) if above in after}:
        touched.add(key)
        after[key] = replace(after[key], below=_below(key.name, after))
    return after, frozenset(touched)


def _above(host: str) -> list[Name]:
    """Return the wildcards that a host may be below, and itself if it is one."""
    labels = host.removeprefix("*.").split(".")
    return [Name("", "*." + ".".join(labels[start:])) for start in range(len(labels))]


def _below(wildcard: str, holders: Mapping[Name, Holder]) -> tuple[Own, ...]:
    """Return what below a wildcard is declared by itself, and for whom."""
    return tuple(
        (each, callers)
        for key in sorted(holders)
        if key.name != wildcard and covers(wildcard, key.name)
        for each, callers in holders[key].views()
        if isinstance(each, External) and each in holders[key].declared
    )


def _wild(host: str, holders: Mapping[Name, Holder]) -> tuple[External, ...]:
    """Return what wildcards say of a host for those namespaces that do not declare it themselves."""
    several = (
        each
        for key in _above(host)
        if key.name != host and key in holders
        for each in holders[key].declared
        if isinstance(each, External)
    )
    own = {each.name for each in holders[Name("", host)].declared}
    return tuple(each for each in expanded(host, several) if each.name not in own)


def everywhere(allocation: Allocation, holders: Mapping[Name, Holder]) -> frozenset[Name]:
    """Return those for which it matters which namespaces there are: they are local, and one of theirs is for all."""
    local = (name for name, claim in allocation.claims.items() if claim.region.is_local)
    return frozenset(
        name for name in local if any(callers.others for _, callers in holders[name].views())
    )


def allocate(
    before: Allocation, holders: Mapping[Name, Holder], touched: Iterable[Name]
) -> tuple[Allocation, frozenset[Name]]:
    """Give addresses to what can be called; also return what else has another one by that."""
    claims = {name: holders[name].claim() for name in touched if name in holders}
    without = [name for name in touched if claims.get(name) is None]
    return before.assign([each for each in claims.values() if each is not None], without)


def is_on_demand(held: tuple[Resource, ...], count: int, upstream: Upstream) -> bool:
    """Decide when a holder is first seen, and keep to it: changing over would drop what is in use."""
    if held:
        return any(each.on_demand for each in held)
    return count >= upstream.settings.eager_services


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What holders are made in: `namespaces` are those of callers, `log` is the egress log's path."""

    allocation: Allocation
    upstream: Upstream
    namespaces: frozenset[str]
    log: str


def make(
    before: Made, holders: Mapping[Name, Holder], touched: Iterable[Name], around: Surroundings
) -> dict[Name, tuple[Resource, ...]]:
    """Return all holders' resources after a change."""
    after = dict(before)
    for name in touched:
        held = after.pop(name, ())
        if name not in holders:
            continue
        made = holding.resources(
            holders[name], around.allocation, around.upstream, around.namespaces, around.log
        )
        if not is_on_demand(held, len(after), around.upstream):
            made = tuple(replace(each, on_demand=False) for each in made)
        after[name] = made
    return after


def rescope(
    before: Scopes,
    holders: Mapping[Name, Holder],
    made: Made,
    touched: Iterable[Name],
    settings: Settings,
) -> Scopes:
    """Return the scopes after a change: those with a holder that it touches are made anew."""
    held, resources = dict(before.members), dict(before.made)
    changed = {routes.scope_key(name) for name in touched if not name.name.startswith("*.")}
    by_key: dict[Key, set[Name]] = {}
    for name in touched:
        by_key.setdefault(routes.scope_key(name), set()).add(name)
    for key in sorted(changed):
        inside = held.pop(key, frozenset()) | by_key[key]
        inside = frozenset(each for each in inside if made.get(each))
        resources.pop(key, None)
        if inside:
            held[key] = inside
        members = [each for name in sorted(inside) for each in holders[name].members]
        on_demand = any(each.on_demand for name in inside for each in made[name])
        on_demand |= any(map(routes.leads_elsewhere, members))
        resource = routes.scope(key, members, settings, on_demand=on_demand)
        if resource is not None:
            resources[key] = resource
    return Scopes(held, resources)
