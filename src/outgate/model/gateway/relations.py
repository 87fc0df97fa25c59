"""Keeps what the Gateway API's resources declare, as what they refer to comes and goes.

Without I/O. A change costs what it touches: the routes that speak of an object, and the parents of these.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from outgate.model.declarations import Declarations, Routing, Source
from outgate.model.gateway import connecting, merging, tlspolicies
from outgate.model.gateway.known import Known, grants_of, object_of
from outgate.model.gateway.merging import Group
from outgate.model.gateway.resolving import Reason, Refusal, kind_of, objects, references, resolve
from outgate.model.names import Name
from outgate.resources.gateway.backendtlspolicies import BackendTLSPolicy
from outgate.resources.gateway.referencegrants import ReferenceGrant
from outgate.resources.gateway.references import XBACKEND, Object
from outgate.resources.gateway.routes import Route
from outgate.resources.gateway.xbackends import XBackend
from outgate.resources.kinds import Resource
from outgate.resources.problems import Location, Problem, Severity
from outgate.resources.services import Service

MERGED = "Routes"
"""Stands, as a kind, for all routes of one namespace that have one parent: they are declared together."""
_LATER = (Reason.NO_MATCHING_PARENT, Reason.BACKEND_NOT_FOUND, Reason.TARGET_NOT_FOUND)
"""What may come right by itself, as what is missing comes."""

Change = tuple[Source, Declarations | None]


@dataclass(slots=True)
class Relations:
    """All that there is, and who speaks of what; `found` is what is wrong with a resource because of others."""

    known: Known = field(default_factory=Known)
    routes: dict[Source, Route] = field(default_factory=dict)
    policies: dict[Source, BackendTLSPolicy] = field(default_factory=dict)
    found: dict[Source, tuple[Problem, ...]] = field(default_factory=dict)
    touched: set[Source] = field(default_factory=set)
    """Whose outcome may have changed with the last update."""
    _speaking: dict[Object, set[Source]] = field(default_factory=dict)
    _groups: dict[Object, dict[str, Group]] = field(default_factory=dict)
    """By parent, and by the namespace of its routes."""

    def update(self, changes: Iterable[tuple[Source, Resource | None]]) -> list[Change]:
        """Take in resources of any kind as they are now (None: gone), and return what has become of declarations."""
        self.touched = set()
        moved: set[Object] = set()
        gone: list[Change] = []
        for source, resource in changes:
            moved |= self._take(source, resource)
            if resource is None and source.kind not in ("Service", "ReferenceGrant"):
                self.found.pop(source, None)
                gone.append((source, None))
        speaking = {each for meant in moved for each in self._speaking.get(meant, ())}
        parents = {
            parent.object
            for source in speaking
            if source in self.routes
            for parent in self.routes[source].parents
        }
        changed = [*gone, *self._backends(moved), *self._policies(speaking)]
        for parent in sorted(parents | (moved & self._groups.keys())):
            changed += self._merged(parent)
        self.touched |= speaking
        for source in self.touched:
            self._judge(source)
        return changed

    def _take(self, source: Source, resource: Resource | None) -> set[Object]:
        """Note a resource, and return the objects that are not what they were."""
        name = Name(source.namespace, source.name)
        match source.kind:
            case "Service":
                _put(self.known.services, name, resource if isinstance(resource, Service) else None)
                return {object_of(source)}
            case "XBackend":
                found = resource if isinstance(resource, XBackend) else None
                _put(self.known.xbackends, name, found)
                return {object_of(source)}
            case "ReferenceGrant":
                held = self.known.grants.setdefault(source.namespace, {})
                _put(held, source, resource if isinstance(resource, ReferenceGrant) else None)
                return {grants_of(source.namespace)}
            case "BackendTLSPolicy":
                return self._take_policy(source, resource)
            case _ if source in self.routes or isinstance(resource, Route):
                return self._take_route(source, resource)
            case _:
                return set()

    def _take_policy(self, source: Source, resource: Resource | None) -> set[Object]:
        new = resource if isinstance(resource, BackendTLSPolicy) else None
        both = [each for each in (self.policies.get(source), new) if each is not None]
        moved = {target.object for each in both for target in each.targets}
        _put(self.policies, source, new)
        self._speak(source, moved, {target.object for target in new.targets} if new else set())
        return moved

    def _take_route(self, source: Source, resource: Resource | None) -> set[Object]:
        old, new = self.routes.get(source), resource if isinstance(resource, Route) else None
        before = objects(old) if old else set()
        after = objects(new) if new else set()
        _put(self.routes, source, new)
        space = source.namespace
        grants = {grants_of(each.namespace) for each in after if each.namespace != space}
        self._speak(source, before | self._granted(old), after | grants)
        for meant in before | after:
            if (meant.group, meant.kind) == XBACKEND:
                users = self.known.users.setdefault(meant, {})
                _put(users, source, kind_of(new) if new and meant in after else None)
        both = [each for each in (old, new) if each is not None]
        parents = {parent.object for each in both for parent in each.parents}
        # What an XBackend speaks may depend on which routes lead there.
        return parents | {each for each in before | after if (each.group, each.kind) == XBACKEND}

    def _granted(self, route: Route | None) -> set[Object]:
        if route is None:
            return set()
        space = route.metadata.namespace
        return {grants_of(each.namespace) for each in objects(route) if each.namespace != space}

    def _speak(self, source: Source, before: set[Object], after: set[Object]) -> None:
        for meant in before - after:
            self._speaking.get(meant, set()).discard(source)
        for meant in after:
            self._speaking.setdefault(meant, set()).add(source)

    def _backends(self, moved: Iterable[Object]) -> Iterator[Change]:
        for meant in sorted(moved):
            name = Name(meant.namespace, meant.name)
            backend = self.known.xbackends.get(name)
            if (meant.group, meant.kind) != XBACKEND or backend is None:
                continue
            source = Source("XBackend", *_pair(name))
            self.touched.add(source)
            declared = self.known.external(name)
            made = (declared,) if declared else ()
            created = backend.metadata.creation_timestamp
            yield source, Declarations(source, backend.location, created, made)

    def _policies(self, speaking: Iterable[Source]) -> Iterator[Change]:
        for source in sorted(speaking):
            if (policy := self.policies.get(source)) is not None:
                tunings = tlspolicies.tunings(source, policy, self.rivals(policy), self.known)
                created = policy.metadata.creation_timestamp
                yield (
                    source,
                    Declarations(source, policy.location, created, tunings=tunings),
                )

    def rivals(self, policy: BackendTLSPolicy) -> dict[Source, BackendTLSPolicy]:
        """Return all policies with a target of this one's, itself too."""
        sources = {
            each for target in policy.targets for each in self._speaking.get(target.object, ())
        }
        return {each: self.policies[each] for each in sources if each in self.policies}

    def _merged(self, parent: Object) -> Iterator[Change]:
        """Declare anew what the routes of a parent say, one declaration for each of their namespaces."""
        attached: dict[str, dict[Source, Route]] = {}
        for source in sorted(self._speaking.get(parent, ())):
            route = self.routes.get(source)
            if route and any(each.object == parent for each in route.parents):
                attached.setdefault(source.namespace, {})[source] = route
                self.touched.add(source)
        before = self._groups.pop(parent, {})
        for namespace in sorted(before.keys() | attached.keys()):
            source = Source(
                MERGED, namespace, f"{parent.kind.lower()}.{parent.namespace}.{parent.name}"
            )
            found = attached.get(namespace)
            if found is None:
                yield source, None
                continue
            made = merging.group(parent, found, self.known)
            self._groups.setdefault(parent, {})[namespace] = made
            yield source, self._declared(source, made, found)

    def _declared(
        self, source: Source, made: Group, found: dict[Source, Route]
    ) -> Declarations | None:
        rules = merging.rules(made, found, self.known)
        tunings = connecting.tunings(made, found, self.known)
        if made.place is None or not (rules or tunings):
            return None
        holding = [found[each] for each in made.ports]
        oldest = min(holding, key=lambda each: each.metadata.creation_timestamp)
        routing = Routing(made.place.name, rules, "spec.parentRefs")
        created = oldest.metadata.creation_timestamp
        routings = (routing,) if rules else ()
        return Declarations(source, oldest.location, created, routings=routings, tunings=tunings)

    def speaking(self, meant: Object) -> frozenset[Source]:
        """Return the routes and policies that refer to an object."""
        return frozenset(self._speaking.get(meant, ()))

    def group(self, source: Source, parent: Object) -> Group | None:
        """Return the group in which a route is attached to a parent."""
        return self._groups.get(parent, {}).get(source.namespace)

    def refusals(self, source: Source) -> tuple[Refusal, ...]:
        """Return what a route or a policy cannot do, in the order of its fields."""
        if (route := self.routes.get(source)) is not None:
            return tuple(self._refusals(source, route))
        if (policy := self.policies.get(source)) is not None:
            return tlspolicies.refusals(source, policy, self.rivals(policy), self.known)
        return ()

    def _refusals(self, source: Source, route: Route) -> Iterator[Refusal]:
        for parent in route.parents:
            group = self.group(source, parent.object)
            refused = group.refused.get((source, parent.path)) if group else None
            if refused is not None:
                yield refused
        for reference in references(route.rules):
            found = resolve(route, reference, self.known)
            if isinstance(found, Refusal):
                yield found

    def _judge(self, source: Source) -> None:
        self.found.pop(source, None)
        resource = self.routes.get(source) or self.policies.get(source)
        location = resource.location if resource else Location()
        problems = tuple(
            Problem(location, str(source), each.path, each.message, severity=_severity(each))
            for each in self.refusals(source)
        )
        if problems:
            self.found[source] = problems


def _severity(refusal: Refusal) -> Severity:
    return Severity.WARNING if refusal.reason in _LATER else Severity.ERROR


def _pair(name: Name) -> tuple[str, str]:
    return name.namespace, name.name


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def _put(kept: dict[_Key, _Value], key: _Key, value: _Value | None) -> None:
    if value is None:
        kept.pop(key, None)
    else:
        kept[key] = value
