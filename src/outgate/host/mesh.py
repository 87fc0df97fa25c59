"""What the local mesh consists of, as the daemon knows it: manifests by file, pods, and what follows from both.

Without I/O. A change costs what it touches: one file's documents, the services they name, the pods those select.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from outgate.model.addresses import FULL
from outgate.model.deriving import destination, selects
from outgate.model.destinations import Destination, Endpoint, External, Internal
from outgate.model.names import Name
from outgate.model.workloads import Workload
from outgate.resources.kinds import Resources, parse
from outgate.resources.manifests import Manifests
from outgate.resources.problems import Location, Problem
from outgate.resources.services import Service
from outgate.xds import egress
from outgate.xds.clusters import Upstream
from outgate.xds.egress import Delta, Key, Programmed, Site
from outgate.xds.snapshot import Resource


@dataclass(slots=True)
class Mesh:
    """The one mutable thing between the store and the snapshot; each method returns how the snapshot changes."""

    site: Site
    upstream: Upstream
    programmed: Programmed = field(default_factory=Programmed)
    files: dict[str, Resources] = field(default_factory=dict)
    unread: dict[str, tuple[Problem, ...]] = field(default_factory=dict)
    owners: dict[Name, set[str]] = field(default_factory=dict)
    selecting: dict[Name, Service] = field(default_factory=dict)
    workloads: dict[Name, Workload] = field(default_factory=dict)
    of_workloads: dict[Name, dict[Key, Resource]] = field(default_factory=dict)

    def start(self) -> Delta:
        """Return what is programmed before there is any service or pod."""
        return Delta(egress.shared(self.site, self.upstream))

    def problems(self) -> tuple[Problem, ...]:
        """Return all that is wrong with the manifests, sorted."""
        found = [each for resources in self.files.values() for each in resources.problems]
        found += [each for problems in self.unread.values() for each in problems]
        for name, files in self.owners.items():
            first, *others = sorted(files)
            found += [self._duplicate(name, first, other) for other in others]
        found += [self._refused(name) for name in self.programmed.allocation.refused()]
        return tuple(sorted(found, key=lambda each: (each.location, each.path, each.message)))

    def _duplicate(self, name: Name, first: str, other: str) -> Problem:
        service = _by_name(self.files[other])[name]
        message = f"a Service of this name and namespace is already in {first}, which counts"
        hint = "remove one of the two, or rename it"
        return Problem(service.location, f"service/{name.name}", "metadata.name", message, hint)

    def _refused(self, name: Name) -> Problem:
        service = self.service(name)
        place = service.location if service else Location(str(name))
        return Problem(place, f"service/{name.name}", "spec.ports", FULL)

    def update_files(self, manifests: Iterable[tuple[str, Manifests | None]]) -> Delta:
        """Take in files that changed (None: gone)."""
        touched: set[Name] = set()
        for file, read in manifests:
            old = self.files.pop(file, None)
            self.unread.pop(file, None)
            for name in _by_name(old):
                self.owners[name].discard(file)
                if not self.owners[name]:
                    del self.owners[name]
                touched.add(name)
            if read is None:
                continue
            new = self.files[file] = parse(read.documents)
            if read.problems:
                self.unread[file] = read.problems
            for name in _by_name(new):
                self.owners.setdefault(name, set()).add(file)
                touched.add(name)
        return self._program(touched)

    def service(self, name: Name) -> Service | None:
        """Return the Service that counts for a name."""
        files = self.owners.get(name)
        return _by_name(self.files[min(files)])[name] if files else None

    def add_workload(self, workload: Workload) -> Delta:
        """Take in a pod, and let the services that select it lead to it."""
        forwarded = self._forwards()
        self.workloads[workload.name] = workload
        selecting = [name for name, each in self.selecting.items() if selects(each, workload)]
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

    def _forwards(self) -> bool:
        return any(each.include for each in self.workloads.values())

    def _program(self, names: Iterable[Name], pods: Iterable[Name] = ()) -> Delta:
        changed: list[Destination] = []
        removed: list[Name] = []
        touched = set(pods)
        for name in sorted(names):
            touched |= _pods(self.programmed.destinations.get(name))
            service = self.service(name)
            self.selecting.pop(name, None)
            if service is not None and service.selector:
                self.selecting[name] = service
            derived = destination(service, self.workloads.values()) if service else None
            if derived is None:
                removed.append(name)
            elif derived != self.programmed.destinations.get(name):
                changed.append(derived)
                touched |= _pods(derived)
        before = self.programmed.http_ports
        self.programmed, delta = egress.program(
            self.programmed, changed, removed, self.site, self.upstream, forward=self._forwards()
        )
        if self.programmed.http_ports != before:
            touched |= set(self.workloads)
        return self._with_workloads(delta, touched)

    def _with_workloads(self, delta: Delta, touched: Iterable[Name]) -> Delta:
        served = self._served()
        changed, removed = list(delta.changed), list(delta.removed)
        for name in sorted(touched):
            before = self.of_workloads.pop(name, {})
            after: dict[Key, Resource] = {}
            if (workload := self.workloads.get(name)) is not None:
                made = egress.workload(
                    workload,
                    served.get(name, ()),
                    self.programmed.http_ports,
                    self.site,
                    self.upstream,
                )
                after = self.of_workloads[name] = {egress.key_of(each): each for each in made}
            changed += [each for key, each in after.items() if before.get(key) != each]
            removed += [key for key in before if key not in after]
        return Delta(tuple(changed), tuple(removed))

    def _served(self) -> dict[Name, set[int]]:
        served: dict[Name, set[int]] = {}
        for name in self.selecting:
            for endpoint in _endpoints(self.programmed.destinations.get(name)):
                served.setdefault(endpoint.pod, set()).add(endpoint.port)
        return served


def _by_name(resources: Resources | None) -> dict[Name, Service]:
    services = resources.services if resources else ()
    return {Name(each.metadata.namespace, each.metadata.name): each for each in services}


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
