"""How far egress Envoys are, without I/O, in numbers that all replicas of the controller understand.

Each replica counts revisions of its own. What is the same for all is the version at which the API server's objects of
a kind were read: so that is what replicas tell each other.
"""

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from outgate.kube.reports import number
from outgate.model.declarations import Source
from outgate.model.names import Name

PROGRAMMED, REFUSED = "outgate.dev/programmed", "outgate.dev/refused"
"""Annotations of a replica's Lease."""
ALIVE_SECONDS, BEAT_SECONDS = 30.0, 10.0
"""For how long a replica counts whose Lease does not change, and how often it changes it at least."""
_MOST_MARKS, _MOST_REFUSED, _MOST_WORDS = 1000, 50, 500
"""What an annotation holds is bounded: all of an object's may have 256 KiB."""


Versions = Mapping[str, int]
"""Up to which version objects were read, by kind."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a replica's egress Envoys are: `versions` is None where it has none, and empty where one has nothing."""

    versions: Versions | None = None
    refused: Mapping[Source, str] = field(default_factory=dict)

    def annotations(self) -> dict[str, str]:
        """Return it as other replicas read it."""
        chosen = sorted(self.refused.items())[:_MOST_REFUSED]
        words = {
            f"{each.kind}/{each.namespace}/{each.name}": said[:_MOST_WORDS] for each, said in chosen
        }
        versions = "" if self.versions is None else json.dumps(dict(self.versions))
        return {PROGRAMMED: versions, REFUSED: json.dumps(words)}


def read(lease: Mapping[str, Any]) -> Reached:
    """Read another replica's Lease; what cannot be read counts as an egress that has nothing."""
    annotations = (lease.get("metadata") or {}).get("annotations") or {}
    said = annotations.get(PROGRAMMED, "")
    refused = {
        Source(*key.split("/", 2)): str(words)
        for key, words in _mapping(annotations.get(REFUSED)).items()
        if key.count("/") == 2
    }
    # An earlier version of the controller knows Services alone.
    found = {"Service": said} if said.isdecimal() else _mapping(said)
    versions = {kind: number(each) for kind, each in found.items()}
    return Reached(versions if said else None, refused)


def _mapping(text: object) -> Mapping[str, Any]:
    try:
        found = json.loads(str(text or "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def together(found: Iterable[Reached]) -> Reached:
    """Return how far all are: as far as the last one."""
    everyone = tuple(found)
    known = [each.versions for each in everyone if each.versions is not None]
    refused = {one: words for each in reversed(everyone) for one, words in each.refused.items()}
    if not known:
        return Reached(None, refused)
    kinds = {kind for each in known for kind in each}
    versions = {kind: min(each.get(kind, 0) for each in known) for kind in kinds}
    return Reached(versions, refused)


@dataclass(slots=True)
class Progress:
    """Which versions of all kinds each revision of the snapshot holds."""

    _marks: deque[tuple[int, Versions]] = field(default_factory=lambda: deque(maxlen=_MOST_MARKS))

    def published(self, revision: int, versions: Versions) -> None:
        """Note that the snapshot of this revision has the objects up to these versions."""
        if self._marks and self._marks[-1][0] == revision:
            self._marks.pop()
        self._marks.append((revision, versions))

    def reached(self, acknowledged: Iterable[int]) -> Versions | None:
        """Return up to which versions all proxies are that have acknowledged these revisions; None: there is none."""
        slowest = min(acknowledged, default=None)
        if slowest is None:
            return None
        while len(self._marks) > 1 and self._marks[1][0] <= slowest:
            self._marks.popleft()
        return self._marks[0][1] if self._marks and self._marks[0][0] <= slowest else {}


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
