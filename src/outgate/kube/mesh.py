"""What the Services of a cluster declare, and what follows from it for the egress Envoys.

Without I/O. A change costs what it touches. Services that are not external are none of our business: calls to them go
straight to where they were going.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from outgate.model.deriving import destination
from outgate.model.destinations import Destination
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
    problems: dict[Name, tuple[Problem, ...]] = field(default_factory=dict)
    """What is wrong with each Service with which something is."""

    def start(self) -> Delta:
        """Return what is programmed before there is any Service."""
        return Delta(egress.shared(self.site, self.upstream))

    def update(self, services: Iterable[tuple[Name, Mapping[str, Any] | None]]) -> Delta:
        """Take in Services as they are now (None: gone), and return how the snapshot changes.

        In the order in which they were made, which every replica finds: the first ones are programmed eagerly.
        """
        changed: list[Destination] = []
        removed: list[Name] = []
        for name, service in sorted(services, key=_age):
            derived = self._derive(name, service)
            if derived is None:
                removed.append(name)
            elif derived != self.programmed.destinations.get(name):
                changed.append(derived)
        self.programmed, delta = egress.program(
            self.programmed, changed, removed, self.site, self.upstream
        )
        return delta

    def _derive(self, name: Name, service: Mapping[str, Any] | None) -> Destination | None:
        self.problems.pop(name, None)
        if service is None or (service.get("spec") or {}).get("type") != "ExternalName":
            return None
        value = {"apiVersion": "v1", "kind": "Service", **service}
        place = Location(f"services/{name.namespace}/{name.name}")
        parsed = parse((Document(value, place, Lines(1, {})),))
        if parsed.problems:
            self.problems[name] = parsed.problems
        return destination(parsed.services[0], ()) if parsed.services else None


def _age(change: tuple[Name, Mapping[str, Any] | None]) -> tuple[str, Name]:
    name, service = change
    return str((service or {}).get("metadata", {}).get("creationTimestamp", "")), name
