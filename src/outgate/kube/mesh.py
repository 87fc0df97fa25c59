"""What the resources of a cluster declare, and what follows from it for the egress Envoys.

Without I/O. A change costs what it touches. Services that are not external are none of our business: calls to them go
straight to where they were going. That is so for an ExternalName that is another name of something inside, too.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from outgate.model.addresses import FULL, holder
from outgate.model.assembling import Assembly, Change
from outgate.model.declarations import Declarations, Source
from outgate.model.deriving import declare
from outgate.model.destinations import Destination, External
from outgate.model.gateway.relations import Relations
from outgate.model.materials import files
from outgate.model.names import Name
from outgate.model.workloads import Workload
from outgate.resources.documents import Document, Lines
from outgate.resources.istio.endpoints import is_never_called
from outgate.resources.kinds import Resource, declaring, parse, plural
from outgate.resources.problems import Location, Problem, Severity
from outgate.traffic.permitting import Mode, Policy, Subject
from outgate.traffic.references import Material, Network
from outgate.xds import egress, snapshot
from outgate.xds.clusters import Upstream
from outgate.xds.egress import Callers, Delta, Programmed, Site
from outgate.xds.materials import Vault, concerned
from outgate.xds.policing.exposing import exposed_by
from outgate.xds.policing.following import Policing
from outgate.xds.private import of

Derived = tuple[Resource | None, Declarations | None]
"""A resource that is valid, and what it declares by itself."""


@dataclass(slots=True)
class Mesh:
    """The one mutable thing between the API server and the snapshot."""

    site: Site
    upstream: Upstream
    programmed: Programmed = field(default_factory=Programmed)
    assembly: Assembly = field(default_factory=Assembly)
    vault: Vault = field(default_factory=Vault)
    relations: Relations = field(default_factory=Relations)
    policing: Policing = field(default_factory=Policing)
    wrong: dict[Source, tuple[Problem, ...]] = field(default_factory=dict)
    """What is wrong with each resource by itself."""
    affected: set[Source] = field(default_factory=set)
    """Whose outcome may have changed with the last update."""
    namespaces: frozenset[str] = frozenset()
    """Those that there are; the next `update` takes them in."""
    _refused: frozenset[Name] = frozenset()
    """What got no address, as `addresses.holder` names it."""
    _failed: dict[Name, tuple[Source, Problem]] = field(default_factory=dict)
    """What could not be programmed, for a reason that nobody foresaw."""
    _pods: dict[str, tuple[Workload, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Know which names are inside."""
        self.assembly.domain = self.upstream.settings.trust_domain

    def start(self) -> Delta:
        """Return what is programmed before there is any resource."""
        ruled = self.policing.start(self.upstream.settings)
        return Delta(egress.shared(self.site, self.upstream)).and_then(ruled)

    def problems(self, source: Source) -> tuple[Problem, ...]:
        """Return all that is wrong with a resource."""
        found = (
            *self.wrong.get(source, ()),
            *self.assembly.found.get(source, ()),
            *self.relations.found.get(source, ()),
            *exposed_by(self.assembly, source),
        )
        declared = self.assembly.declared.get(source)
        if declared:
            if any(holder(each.name) in self._refused for each in declared.destinations):
                found += (Problem(_place(source), str(source), "spec.ports", FULL),)
            failed = (self._failed.get(each.name) for each in declared.destinations)
            found += tuple(each[1] for each in failed if each and each[0] == source)
            lacking = self.vault.lacking(declared)
            found += tuple(Problem(_place(source), str(source), "spec", each) for each in lacking)
        return found

    def all_problems(self) -> Iterator[Problem]:
        """Yield all that is wrong, by resource."""
        refused = {
            source
            for source, declared in (self.assembly.declared.items() if self._refused else ())
            if any(holder(each.name) in self._refused for each in declared.destinations)
        }
        lacking = {each.source for each, _ in self.vault.all_lacking(self.assembly)}
        found = self.assembly.found.keys() | self.relations.found.keys()
        found |= {source for source, _ in self._failed.values()}
        for source in sorted(self.wrong.keys() | found | refused | lacking):
            yield from self.problems(source)

    def owner(self, name: Name) -> Source:
        """Return the resource that declares a destination."""
        return self._owner(name, self.programmed.destinations.get(name))

    def _owner(self, name: Name, found: Destination | None) -> Source:
        said = found.source if isinstance(found, External) else ""
        kind, _, own = said.partition("/")
        known = {each.lower(): each for _, each, _ in declaring()}
        if kind not in known:
            return Source("Service", name.namespace, name.name)
        return Source(known[kind], name.namespace, own)

    def update(self, changes: Iterable[tuple[Source, Mapping[str, Any] | None]]) -> Delta:
        """Take in resources as they are now (None: gone), and return how the snapshot changes."""
        derived: list[tuple[Source, Declarations | None]] = []
        typed: list[tuple[Source, Resource | None]] = []
        for source, item in changes:
            resource, declared = self._derive(source, item)
            typed.append((source, resource))
            derived.append((source, declared))
        # A policy relates to nothing, and one that cannot be used is there all the same.
        derived += self.relations.update(each for each in typed if each[0].kind != "EgressPolicy")
        change = self.assembly.update(derived)
        self.affected = {source for source, _ in typed} | self.relations.touched
        self.affected |= self.assembly.checked
        delta = self._program(change)
        self._refused = self.programmed.allocation.refused()
        self.vault.follow(change, self.assembly)
        ruled = self.policing.follow(change, self.assembly, self.programmed, self.callers)
        lent = self.vault.delta()
        self.affected |= self._judged()
        # Rules come first: what is new must not be called before they are there.
        return ruled.and_then(delta).and_then(lent)

    def _program(self, change: Change) -> Delta:
        """Program what has become of destinations; what cannot be is left out, and all others are programmed."""
        try:
            return self._program_some(change.changed, change.removed)
        except Exception as error:
            if len(change.changed) + len(change.removed) > 1:
                one_by_one = [Change(removed=(each,)) for each in change.removed]
                one_by_one += [Change((each,)) for each in change.changed]
                made: dict[egress.Key, snapshot.Resource | None] = {}
                for each in one_by_one:
                    delta = self._program(each)
                    made.update((egress.key_of(one), one) for one in delta.changed)
                    made.update(dict.fromkeys(delta.removed))
                changed = tuple(each for each in made.values() if each is not None)
                return Delta(changed, tuple(key for key, each in made.items() if each is None))
            for destination in change.changed:
                delta = self._program_some((), (destination.name,))
                source = self._owner(destination.name, destination)
                message = f"cannot be programmed: {type(error).__name__}: {error!s:.200}"
                problem = Problem(_place(source), str(source), "spec", message)
                self._failed[destination.name] = source, problem
                return delta
            raise

    def _program_some(self, changed: tuple[Destination, ...], removed: tuple[Name, ...]) -> Delta:
        self.programmed, delta = egress.program(
            self.programmed, changed, removed, self.site, self.upstream, Callers(self.namespaces)
        )
        for name in (*(each.name for each in changed), *removed):
            self._failed.pop(name, None)
        return delta

    def callers(self, namespace: str) -> tuple[Workload, ...]:
        """Return the pods of a namespace that has policies."""
        return self._pods.get(namespace, ())

    def _judged(self) -> set[Source]:
        """Return whose Secrets came, went or are of use now: a look at everything, but only when that changed."""
        owners, self.vault.judged = self.vault.judged, set()
        return {each.source for each in concerned(self.assembly, owners)} if owners else set()

    def update_callers(self, namespace: str, pods: tuple[Workload, ...]) -> Delta:
        """Take in the pods of a namespace as they are now."""
        self._pods[namespace] = pods
        return self.policing.update_pods((namespace,), self.callers)

    def close_materials(self, reasons: Mapping[Material, str]) -> Delta:
        """Take in which Secrets and ConfigMaps may not be read, and why."""
        self.vault.close(reasons)
        return self.vault.delta()

    def update_materials(self, changes: Iterable[tuple[Material, bytes | None]]) -> Delta:
        """Take in what Secrets and ConfigMaps hold now (None: there is none)."""
        self.vault.hold(changes)
        return self.vault.delta()

    def _derive(self, source: Source, item: Mapping[str, Any] | None) -> Derived:
        self.wrong.pop(source, None)
        if source.kind == "Service":
            self.relations.known.others.discard(Name(source.namespace, source.name))
        if item is None:
            return None, None
        resource, declared = self._derive_one(source, item)
        if source.kind == "EgressPolicy" and declared is None:
            return resource, _closing(source, item)
        return resource, declared

    def _derive_one(self, source: Source, item: Mapping[str, Any]) -> Derived:
        try:
            return (
                self._service(source, item)
                if source.kind == "Service"
                else self._read(source, item)
            )
        except Exception as error:
            # Whatever it is that nobody foresaw, it is this resource's problem alone: others go on being programmed.
            message = f"cannot be read: {type(error).__name__}: {error!s:.200}"
            self.wrong[source] = (Problem(_place(source), str(source), "", message),)
            return None, _nowhere(source, item) if source.kind == "Service" else None

    def _service(self, source: Source, item: Mapping[str, Any]) -> Derived:
        spec = item.get("spec") or {}
        inside = spec.get("type") != "ExternalName"
        if inside or is_alias(spec, self.upstream.settings.trust_domain):
            # What is attached to it is for whoever looks after the cluster inside.
            self.relations.known.others.add(Name(source.namespace, source.name))
            return None, None
        resource, declared = self._read(source, {"apiVersion": "v1", "kind": "Service", **item})
        if declared and declared.destinations:
            return resource, declared
        return resource, _nowhere(source, item)

    def _read(self, source: Source, item: Mapping[str, Any]) -> Derived:
        parsed = parse((Document(item, _place(source), Lines(1, {})),))
        if parsed.problems:
            self.wrong[source] = parsed.problems
        resource = next(parsed.every(), None)
        declared = declare(resource) if resource else None
        if declared and (named := files(declared)):
            # The files of an egress, or of a controller, are not for whoever may write a resource.
            message = f"{named[0]} is a file, and in a cluster certificates and credentials are in Secrets"
            problem = Problem(_place(source), str(source), "spec", message, "name a Secret")
            self.wrong[source] = (*parsed.problems, problem)
            return resource, None
        closed = self._closed(declared) if declared else []
        if never := [each for each in closed if is_never_called(each)]:
            # A network policy is not asked about calls from a pod to itself, and often not about its node's.
            message = (
                f"{never[0]} has the egress itself, or a metadata service, which are never called"
            )
            problem = Problem(_place(source), str(source), "spec", message, "name what is meant")
            self.wrong[source] = (*parsed.problems, problem)
            return resource, None
        if closed:
            # A network policy is about the egress as a whole, so that whoever installs decides.
            message = f"the egress's network policy does not let calls to {closed[0]} pass"
            hint = (
                f"who installs may allow it: --set OUTGATE_GUARD_ALLOW={','.join(map(str, closed))}"
            )
            problem = Problem(
                _place(source), str(source), "spec", message, hint, severity=Severity.WARNING
            )
            self.wrong[source] = (*parsed.problems, problem)
        return resource, declared

    def _closed(self, declared: Declarations) -> list[Network]:
        """Return the private ranges that a resource names and the installation does not allow."""
        allowed = [ipaddress.ip_network(each) for each in self.upstream.settings.guard_allow]
        wanted = {each for one in declared.destinations for several in of(one) for each in several}
        return [
            each
            for each in sorted(wanted, key=str)
            if not any(_holds(one, each) for one in allowed)
        ]


def _holds(outer: Network, inner: Network) -> bool:
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _nowhere(source: Source, item: Mapping[str, Any]) -> Declarations:
    """Have a name lead nowhere: else the cluster's DNS would ask outside for what it stands for."""
    metadata = item.get("metadata")
    made = metadata.get("creationTimestamp") if isinstance(metadata, Mapping) else None
    created = str(made or "")
    name = Name(source.namespace, source.name)
    declared = External(name, "", (), created, source=str(source))
    return Declarations(source, _place(source), created, (declared,))


def _closing(source: Source, item: Mapping[str, Any]) -> Declarations:
    """Have a policy that cannot be used allow nothing: without it, its namespace might call all that is declared."""
    spec = item.get("spec")
    audit = isinstance(spec, Mapping) and spec.get("mode") == Mode.AUDIT.value
    mode = Mode.AUDIT if audit else Mode.ENFORCE
    policy = Policy(source.namespace, source.name, Subject(), (), mode)
    return Declarations(source, _place(source), policies=(policy,))


def is_alias(spec: Mapping[str, Any], domain: str) -> bool:
    """Whether a Service stands for a name inside the cluster."""
    host = str(spec.get("externalName") or "").rstrip(".").lower()
    return spec.get("type") == "ExternalName" and f".{host}".endswith(f".{domain}")


def _place(source: Source) -> Location:
    return Location(f"{plural(source.kind)}/{source.namespace}/{source.name}")
