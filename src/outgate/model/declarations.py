"""What one resource contributes, whatever its kind: destinations, what is to happen on the way to some, and policies.

A front end is a function from a typed resource to this. What follows from all of them together, `assembling` says.
"""

from dataclasses import dataclass, field

from outgate.model.destinations import Destination
from outgate.model.names import Name
from outgate.resources.problems import Location
from outgate.traffic.permitting import Policy
from outgate.traffic.references import Material
from outgate.traffic.routing import Rule
from outgate.traffic.upstream import Upstream


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """A resource: its kind as written (`ServiceEntry`), namespace and name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Render as kubectl does: `serviceentry/github`."""
        return f"{self.kind.lower()}/{self.name}"


@dataclass(frozen=True, slots=True)
class Routing:
    """Rules for calls to a destination; of several resources, the older one's come first.

    `target` is a destination's name: Name(namespace, service), or Name(namespace, host). Where the namespace is empty
    it is whichever destination of that host a caller of the resource's own namespace sees.
    `path` is the field that names it, for problems.
    """

    target: Name
    rules: tuple[Rule, ...]
    path: str = ""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How connections to a destination are made, on `ports` (none: all but those of `besides`).

    `target` and `path` are as in Routing.
    What it says replaces what the destination's own resource says; of several, the oldest counts, field by field.
    """

    target: Name
    upstream: Upstream
    ports: tuple[int, ...] = ()
    path: str = ""
    besides: tuple[int, ...] = ()

    def concerns(self, port: int) -> bool:
        """Whether it holds for a port."""
        return port in self.ports if self.ports else port not in self.besides


@dataclass(frozen=True, slots=True)
class Declarations:
    """All that one resource declares; `created` is RFC 3339, or empty where nobody says."""

    source: Source
    location: Location
    created: str = ""
    destinations: tuple[Destination, ...] = ()
    routings: tuple[Routing, ...] = ()
    tunings: tuple[Tuning, ...] = ()
    policies: tuple[Policy, ...] = ()
    materials: tuple[tuple[Material, bytes], ...] = field(default=(), repr=False)
    """What a Secret or ConfigMap holds."""

    @property
    def rank(self) -> tuple[str, Source]:
        """The lower one of two counts: the older, else the one whose kind, namespace and name come first."""
        return self.created, self.source
