"""What the local mesh consists of, as the daemon knows it: manifests by file, pods, and what follows from both.

Without I/O. A change costs what it touches: one file's documents, the services they name, the pods those select.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import assert_never

from outgate.model.addresses import FULL, holder
from outgate.model.assembling import Assembly
from outgate.model.declarations import Declarations, Source
from outgate.model.deriving import declare, selects, source_of
from outgate.model.destinations import Destination, Endpoint, External, Internal
from outgate.model.gateway.relations import Relations
from outgate.model.names import Name
from outgate.model.pointing import pointless
from outgate.model.workloads import Workload
from outgate.resources.kinds import Resource, parse
from outgate.resources.manifests import Manifests
from outgate.resources.problems import Problem
from outgate.resources.services import Service
from outgate.traffic.references import Material
from outgate.xds import egress
from outgate.xds import snapshot as xds
from outgate.xds.clusters import Upstream
from outgate.xds.egress import Callers, Delta, Key, Programmed, Site
from outgate.xds.materials import Vault
from outgate.xds.policing.exposing import exposed
from outgate.xds.policing.following import Policing
from outgate.xds.private import Private


@dataclass(slots=True)
class Mesh:
    """The one mutable thing between the store and the snapshot; each method returns how the snapshot changes."""

    site: Site
    upstream: Upstream
    programmed: Programmed = field(default_factory=Programmed)
    assembly: Assembly = field(default_factory=Assembly)
    vault: Vault = field(default_factory=Vault)
    private: Private = field(default_factory=Private)
    relations: Relations = field(default_factory=Relations)
    policing: Policing = field(default_factory=lambda: Policing(captured=True))
    files: dict[str, dict[Source, Resource]] = field(default_factory=dict)
    wrong: dict[str, tuple[Problem, ...]] = field(default_factory=dict)
    owners: dict[Source, set[str]] = field(default_factory=dict)
    selecting: dict[Source, Service] = field(default_factory=dict)
    workloads: dict[Name, Workload] = field(default_factory=dict)
    of_workloads: dict[Name, dict[Key, xds.Resource]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Know which names are inside."""
        self.assembly.domain = self.upstream.settings.trust_domain

    def start(self) -> Delta:
        """Return what is programmed before there is any service or pod."""
        ruled = self.policing.start(self.upstream.settings)
        return Delta(egress.shared(self.site, self.upstream)).and_then(ruled)

    def problems(self) -> tuple[Problem, ...]:
        """Return all that is wrong with the manifests, sorted."""
        found = [each for problems in self.wrong.values() for each in problems]
        for problems in (*self.assembly.found.values(), *self.relations.found.values()):
            found += problems
        for source, files in self.owners.items():
            if len(files) < 2:
                continue
            first, *others = sorted(files)
            found += [self._duplicate(source, first, other) for other in others]
        found += self._refused(self.programmed.allocation.refused())
        found += exposed(self.assembly)
        found += pointless(self.assembly)
        found += [
            Problem(declared.location, str(declared.source), "spec", said)
            for declared, said in self.vault.all_lacking(self.assembly)
        ]
        return tuple(sorted(found, key=lambda each: (each.location, each.path, each.message)))

    def meant(self, problem: Problem) -> tuple[tuple[str, str, str], ...]:
        """Return kind (in lower case), namespace and name of the resources of a file that a problem is about."""
        return tuple(
            (source.kind.lower(), source.namespace, source.name)
            for source in self.files.get(problem.location.file, ())
            if str(source) == problem.resource
        )

    def _duplicate(self, source: Source, first: str, other: str) -> Problem:
        place = self.files[other][source].location
        message = f"a {source.kind} of this name and namespace is already in {first}, which counts"
        hint = "remove one of the two, or rename it"
        return Problem(place, str(source), "metadata.name", message, hint)

    def _refused(self, names: Collection[Name]) -> list[Problem]:
        """Return a problem for each resource that declares what got no address."""
        return [
            Problem(declared.location, str(source), "spec.ports", FULL)
            for source, declared in (self.assembly.declared.items() if names else ())
            if any(holder(each.name) in names for each in declared.destinations)
        ]

    def update_files(self, manifests: Iterable[tuple[str, Manifests | None]]) -> Delta:
        """Take in files that changed (None: gone)."""
        touched: set[Source] = set()
        for file, read in manifests:
            for source in self.files.pop(file, {}):
                self.owners[source].discard(file)
                if not self.owners[source]:
                    del self.owners[source]
                touched.add(source)
            self.wrong.pop(file, None)
            if read is None:
                continue
            new = parse(read.documents)
            if problems := (*read.problems, *new.problems):
                self.wrong[file] = problems
            self.files[file] = {source_of(each): each for each in new.every()}
            for source in self.files[file]:
                self.owners.setdefault(source, set()).add(file)
                touched.add(source)
        return self._program(touched)

    def _resource(self, source: Source) -> Resource | None:
        """Return the one that counts of all with this identity."""
        files = self.owners.get(source)
        return self.files[min(files)][source] if files else None

    def add_workload(self, workload: Workload) -> Delta:
        """Take in a pod, and let the services that select it lead to it."""
        forwarded = self._forwards()
        self.workloads[workload.name] = workload
        selecting = [source for source, each in self.selecting.items() if selects(each, workload)]
        delta = self._program(selecting, {workload.name})
        if forwarded or not self._forwards():
            return delta
        first = egress.forwarding(self.site, self.programmed)
        return Delta((*delta.changed, first), delta.removed)

    def remove_workload(self, name: Name) -> Delta:
        """Let a pod go."""
        forwarded = self._forwards()
        workload = self.workloads.pop(name, None)
        if workload is None:
            return Delta()
        selecting = [each for each, service in self.selecting.items() if selects(service, workload)]
        delta = self._program(selecting, {name})
        if self._forwards() or not forwarded:
            return delta
        last = egress.key_of(egress.forwarding(self.site, self.programmed))
        return Delta(delta.changed, (*delta.removed, last))

    def _callers(self) -> Callers:
        return Callers(
            frozenset(name.namespace for name in self.workloads), forward=self._forwards()
        )

    def _forwards(self) -> bool:
        return any(each.include for each in self.workloads.values())

    def _program(self, sources: Iterable[Source], pods: Collection[Name] = ()) -> Delta:
        changes: list[tuple[Source, Declarations | None]] = []
        named = sorted(sources)
        for source in named:
            resource = self._resource(source)
            self.selecting.pop(source, None)
            if isinstance(resource, Service) and resource.selector:
                self.selecting[source] = resource
            declared = declare(resource, self.workloads.values()) if resource else None
            self._hold(source, declared)
            changes.append((source, declared))
        changes += self.relations.update((each, self._resource(each)) for each in named)
        change = self.assembly.update(changes)
        self.vault.follow(change, self.assembly)
        self.private.follow(change)
        touched = set(pods)
        for name in (*change.removed, *(each.name for each in change.changed)):
            touched |= _pods(self.programmed.destinations.get(name))
        for each in change.changed:
            touched |= _pods(each)
        before = self.programmed.known
        self.programmed, delta = egress.program(
            self.programmed,
            change.changed,
            change.removed,
            self.site,
            self.upstream,
            self._callers(),
        )
        if self.programmed.known != before:
            touched |= set(self.workloads)
        delta = self._with_workloads(delta, touched).and_then(self.vault.delta())
        ruled = self.policing.follow(change, self.assembly, self.programmed, self._pods_in)
        if pods:
            known = {each.namespace for each in pods} - change.policies
            ruled = self.policing.update_pods(known, self._pods_in).and_then(ruled)
        # Rules come first: what is new must not be called before they are there.
        return ruled.and_then(delta)

    def _pods_in(self, namespace: str) -> tuple[Workload, ...]:
        found = (each for each in self.workloads.values() if each.name.namespace == namespace)
        return tuple(sorted(found, key=lambda each: each.name))

    def _hold(self, source: Source, new: Declarations | None) -> None:
        old = self.assembly.declared.get(source)
        gone = ((material, None) for material, _ in old.materials) if old else ()
        self.vault.hold(dict((*gone, *(new.materials if new else ()))).items())

    def update_materials(self, changes: Iterable[tuple[Material, bytes | None]]) -> Delta:
        """Take in what files hold now (None: they cannot be read)."""
        self.vault.hold(changes)
        return self.vault.delta()

    def _with_workloads(self, delta: Delta, touched: Iterable[Name]) -> Delta:
        served = self._served()
        changed, removed = list(delta.changed), list(delta.removed)
        for name in sorted(touched):
            before = self.of_workloads.pop(name, {})
            after: dict[Key, xds.Resource] = {}
            if (workload := self.workloads.get(name)) is not None:
                made = egress.workload(
                    workload,
                    served.get(name, ()),
                    self.programmed.known,
                    self.site,
                    self.upstream,
                )
                after = self.of_workloads[name] = {egress.key_of(each): each for each in made}
            changed += [each for key, each in after.items() if before.get(key) != each]
            removed += [key for key in before if key not in after]
        return Delta(tuple(changed), tuple(removed))

    def _served(self) -> dict[Name, set[int]]:
        served: dict[Name, set[int]] = {}
        for source in self.selecting:
            name = Name(source.namespace, source.name)
            for endpoint in _endpoints(self.programmed.destinations.get(name)):
                served.setdefault(endpoint.pod, set()).add(endpoint.port)
        return served


def _endpoints(destination: Destination | None) -> tuple[Endpoint, ...]:
    match destination:
        case Internal():
            return tuple(each for group in destination.endpoints for each in group)
        case External() | None:
            return ()
        case _:
            assert_never(destination)


def _pods(destination: Destination | None) -> set[Name]:
    return {each.pod for each in _endpoints(destination)}
