"""A document that was read: its value, and the line of every field, for problems to point at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outgate.resources.paths import printable, segments
from outgate.resources.problems import Location


@dataclass(frozen=True, slots=True)
class Lines:
    """Line of a field, from 1, and the lines of what is below it, by key or index (as text)."""

    line: int
    below: Mapping[str, "Lines"]

    def at(self, path: str) -> int:
        """Line of the field at `path` (`spec.ports[0].port`), else of the nearest one above it."""
        found = self
        for segment in segments(path):
            if segment not in found.below:
                break
            found = found.below[segment]
        return found.line


@dataclass(frozen=True, slots=True)
class Document:
    """One resource as written; `location` is where its first field stands.

    `value` holds JSON's types only, and is not to be changed.
    """

    value: Mapping[str, Any]
    location: Location
    lines: Lines

    def location_of(self, path: str) -> Location:
        """Where the field at `path` stands, or for one that is missing the nearest above it."""
        return Location(self.location.file, self.lines.at(path))

    @property
    def resource(self) -> str:
        """How messages name it: `service/externalbin`; without the part that is not there."""
        kind, metadata = self.value.get("kind"), self.value.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        parts = (kind.lower() if isinstance(kind, str) else "", name)
        return "/".join(printable(part) for part in parts if isinstance(part, str) and part)
