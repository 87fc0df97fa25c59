"""What the Services of a cluster declare, and what follows from it for the egress Envoys.

Without I/O. A change costs what it touches. Services that are not external are none of our business: calls to them go
straight to where they were going. That is so for an ExternalName that is another name of something inside, too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from outgate.model.addresses import FULL
from outgate.model.assembling import Assembly
from outgate.model.declarations import Declarations, Source
from outgate.model.deriving import declare
from outgate.model.destinations import External
from outgate.model.names import Name
from outgate.resources.documents import Document, Lines
from outgate.resources.kinds import parse
from outgate.resources.problems import Location, Problem
from outgate.xds import egress
from outgate.xds.clusters import Upstream
from outgate.xds.egress import Delta, Programmed, Site


@dataclass(slots=True)
class Mesh:
    """The one mutable thing between the API server and the snapshot."""

    site: Site
    upstream: Upstream
    programmed: Programmed = field(default_factory=Programmed)
    assembly: Assembly = field(default_factory=Assembly)
    problems: dict[Name, tuple[Problem, ...]] = field(default_factory=dict)
    """What is wrong with each Service with which something is."""
    _refused: frozenset[Name] = frozenset()

    def start(self) -> Delta:
        """Return what is programmed before there is any Service."""
        return Delta(egress.shared(self.site, self.upstream))

    def update(self, services: Iterable[tuple[Name, Mapping[str, Any] | None]]) -> Delta:
        """Take in Services as they are now (None: gone), and return how the snapshot changes."""
        named = tuple(services)
        derived = ((_source(name), self._derive(name, service)) for name, service in named)
        change = self.assembly.update(derived)
        self.programmed, delta = egress.program(
            self.programmed, change.changed, change.removed, self.site, self.upstream
        )
        self._note_refused(name for name, _ in named)
        return delta

    def _note_refused(self, anew: Iterable[Name]) -> None:
        """Have a problem for each Service that got no address; those of `anew` have none of them yet."""
        refused = self.programmed.allocation.refused()
        for name in self._refused - refused:
            kept = tuple(each for each in self.problems.get(name, ()) if each.message != FULL)
            self.problems.pop(name, None)
            if kept:
                self.problems[name] = kept
        for name in refused & {*(refused - self._refused), *anew}:
            problem = Problem(_place(name), f"service/{name.name}", "spec.ports", FULL)
            self.problems[name] = (*self.problems.get(name, ()), problem)
        self._refused = refused

    def _derive(self, name: Name, service: Mapping[str, Any] | None) -> Declarations | None:
        self.problems.pop(name, None)
        try:
            return self._read(name, service)
        except Exception as error:
            # Whatever it is that nobody foresaw, it is this Service's problem alone: others go on being programmed.
            message = f"cannot be read: {type(error).__name__}: {error!s:.200}"
            self.problems[name] = (Problem(_place(name), f"service/{name.name}", "", message),)
            return _nowhere(name, service)

    def _read(self, name: Name, service: Mapping[str, Any] | None) -> Declarations | None:
        spec = (service or {}).get("spec") or {}
        if service is None or spec.get("type") != "ExternalName":
            return None
        if is_alias(spec, self.upstream.settings.trust_domain):
            return None
        value = {"apiVersion": "v1", "kind": "Service", **service}
        parsed = parse((Document(value, _place(name), Lines(1, {})),))
        if parsed.problems:
            self.problems[name] = parsed.problems
        if parsed.services and (declared := declare(parsed.services[0])).destinations:
            return declared
        return _nowhere(name, service)


def _source(name: Name) -> Source:
    return Source("Service", name.namespace, name.name)


def _nowhere(name: Name, service: Mapping[str, Any] | None) -> Declarations:
    """Have a name lead nowhere: else the cluster's DNS would ask outside for what it stands for."""
    metadata = (service or {}).get("metadata")
    made = metadata.get("creationTimestamp") if isinstance(metadata, Mapping) else None
    created = str(made or "")
    declared = External(name, "", (), created, source=f"service/{name.name}")
    return Declarations(_source(name), _place(name), created, (declared,))


def is_alias(spec: Mapping[str, Any], domain: str) -> bool:
    """Whether a Service stands for a name inside the cluster."""
    host = str(spec.get("externalName") or "").rstrip(".").lower()
    return spec.get("type") == "ExternalName" and f".{host}".endswith(f".{domain}")


def _place(name: Name) -> Location:
    return Location(f"services/{name.namespace}/{name.name}")
