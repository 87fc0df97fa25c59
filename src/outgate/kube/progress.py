"""How far egress Envoys are, without I/O, in numbers that all replicas of the controller understand.

Each replica counts revisions of its own. What is the same for all is the version at which the API server's Services
were read: so that is what replicas tell each other.
"""

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from outgate.kube.reports import number
from outgate.model.names import Name

PROGRAMMED, REFUSED = "outgate.dev/programmed", "outgate.dev/refused"
"""Annotations of a replica's Lease."""
ALIVE_SECONDS, BEAT_SECONDS = 30.0, 10.0
"""For how long a replica counts whose Lease does not change, and how often it changes it at least."""
_MOST_MARKS, _MOST_REFUSED, _MOST_WORDS = 1000, 50, 500
"""What an annotation holds is bounded: all of an object's may have 256 KiB."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a replica's egress Envoys are: `version` is None where it has none, 0 where one has nothing yet."""

    version: int | None = None
    refused: Mapping[Name, str] = field(default_factory=dict)

    def annotations(self) -> dict[str, str]:
        """Return it as other replicas read it."""
        chosen = sorted(self.refused.items())[:_MOST_REFUSED]
        words = {f"{name.namespace}/{name.name}": said[:_MOST_WORDS] for name, said in chosen}
        version = "" if self.version is None else str(self.version)
        return {PROGRAMMED: version, REFUSED: json.dumps(words)}


def read(lease: Mapping[str, Any]) -> Reached:
    """Read another replica's Lease; what cannot be read counts as an egress that has nothing."""
    annotations = (lease.get("metadata") or {}).get("annotations") or {}
    said = annotations.get(PROGRAMMED, "")
    try:
        refused = {
            Name(*key.split("/", 1)): str(words)
            for key, words in json.loads(annotations.get(REFUSED) or "{}").items()
            if "/" in key
        }
    except (ValueError, AttributeError):
        refused = {}
    return Reached(number(said) if said else None, refused)


def together(found: Iterable[Reached]) -> Reached:
    """Return how far all are: as far as the last one."""
    everyone = tuple(found)
    versions = [each.version for each in everyone if each.version is not None]
    refused = {name: words for each in reversed(everyone) for name, words in each.refused.items()}
    return Reached(min(versions, default=None), refused)


@dataclass(slots=True)
class Progress:
    """Which version of the Services each revision of the snapshot holds."""

    _marks: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_MOST_MARKS))

    def published(self, revision: int, version: int) -> None:
        """Note that the snapshot of this revision has the Services up to this version."""
        if self._marks and self._marks[-1][0] == revision:
            self._marks.pop()
        self._marks.append((revision, version))

    def reached(self, acknowledged: Iterable[int]) -> int | None:
        """Return up to which version all proxies are that have acknowledged these revisions; None: there is none."""
        slowest = min(acknowledged, default=None)
        if slowest is None:
            return None
        while len(self._marks) > 1 and self._marks[1][0] <= slowest:
            self._marks.popleft()
        return self._marks[0][1] if self._marks and self._marks[0][0] <= slowest else 0


@dataclass(slots=True)
class Replicas:
    """The other replicas, by what their Leases say, and when that last changed by this one's clock."""

    _found: dict[Name, tuple[Reached, float]] = field(default_factory=dict)

    def change(self, leases: Mapping[Name, Mapping[str, Any] | None], now: float) -> None:
        """Take in Leases that changed (None: gone)."""
        for name, lease in leases.items():
            if lease is None:
                self._found.pop(name, None)
            else:
                self._found[name] = (read(lease), now)

    def alive(self, now: float, but: str) -> tuple[Reached, ...]:
        """Return what the others say that are alive; `but` is this one's own name."""
        return tuple(
            reached
            for name, (reached, seen) in sorted(self._found.items())
            if name.name != but and now - seen < ALIVE_SECONDS
        )
