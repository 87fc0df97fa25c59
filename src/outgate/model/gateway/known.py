"""What references of the Gateway API can lead to: Services, XBackends, and which namespaces agree to be referred to."""

from dataclasses import dataclass, field

from outgate.model.declarations import Source
from outgate.model.deriving import destination
from outgate.model.destinations import External, Port
from outgate.model.gateway.backends import ROUTE_PROTOCOLS, external
from outgate.model.names import Name
from outgate.resources.gateway.reading import GROUP, X_GROUP
from outgate.resources.gateway.referencegrants import ReferenceGrant
from outgate.resources.gateway.references import SERVICE, XBACKEND, Object
from outgate.resources.gateway.xbackends import XBackend
from outgate.resources.services import Service
from outgate.traffic.references import Protocol


@dataclass(frozen=True, slots=True)
class Place:
    """What an object that can be called is to the mesh: a destination, and its ports."""

    name: Name
    host: str
    ports: tuple[Port, ...]
    main: int = 0
    """Of an XBackend: the port that it says itself. It may have another one, which leads there too."""


@dataclass(slots=True)
class Known:
    """All of them; `users` are the kinds of routes that lead to an XBackend or are attached to it.

    `others` are Services that stand for something inside a cluster: what is attached to them is for others.
    """

    services: dict[Name, Service] = field(default_factory=dict)
    xbackends: dict[Name, XBackend] = field(default_factory=dict)
    grants: dict[str, dict[Source, ReferenceGrant]] = field(default_factory=dict)
    users: dict[Object, dict[Source, str]] = field(default_factory=dict)
    others: set[Name] = field(default_factory=set)

    def external(self, name: Name) -> External | None:
        """Return what an XBackend declares; None where there is none of this name."""
        backend = self.xbackends.get(name)
        return None if backend is None else external(backend, self._protocol(backend))

    def _protocol(self, backend: XBackend) -> Protocol | None:
        """Return what the most specific of its routes has an XBackend speak that does not say it."""
        name = backend.metadata
        kinds = self.users.get(Object(*XBACKEND, name.namespace, name.name), {}).values()
        return next((spoken for kind, spoken in ROUTE_PROTOCOLS.items() if kind in kinds), None)

    def place(self, meant: Object) -> Place | None:
        """Return what an object is to the mesh; None where it is not there, or nothing outside."""
        name = Name(meant.namespace, meant.name)
        if (meant.group, meant.kind) == XBACKEND:
            found = self.external(name)
            if found is None:
                return None
            return Place(found.name, found.host, found.ports, self.xbackends[name].port)
        service = self.services.get(name)
        if (meant.group, meant.kind) != SERVICE or service is None:
            return None
        declared = destination(service, ())
        if not isinstance(declared, External):
            return None
        return Place(declared.name, declared.host, declared.ports)

    def is_for_others(self, meant: Object) -> bool:
        """Whether what is attached to an object is none of our business."""
        named = Name(meant.namespace, meant.name) in self.others
        return not meant.is_callable or (named and meant.kind == SERVICE[1])

    def missing(self, meant: Object) -> str:
        """Say why there is no place for an object."""
        name = Name(meant.namespace, meant.name)
        if meant.kind == SERVICE[1] and (name in self.others or name in self.services):
            return f"{meant} is inside: only calls to outside can be changed, and led elsewhere outside"
        return f"there is no {meant} that stands for something outside"

    def allows(self, kind: str, namespace: str, meant: Object) -> bool:
        """Whether an object's namespace agrees that resources of a kind, in a namespace, refer to it."""
        if meant.namespace == namespace:
            return True
        for grant in self.grants.get(meant.namespace, {}).values():
            who = any(
                (each.group, each.kind, each.namespace) == (GROUP, kind, namespace)
                for each in grant.sources
            )
            what = any(
                (each.group, each.kind) == (meant.group, meant.kind)
                and each.name in ("", meant.name)
                for each in grant.targets
            )
            if who and what:
                return True
        return False


def grants_of(namespace: str) -> Object:
    """Stand for all ReferenceGrants of a namespace, as what references depend on."""
    return Object(GROUP, "ReferenceGrant", namespace, "")


def object_of(source: Source) -> Object:
    """Return a Service or an XBackend as references name it."""
    group = X_GROUP if source.kind == "XBackend" else ""
    return Object(group, source.kind, source.namespace, source.name)
