"""What a workload may call: external services, and services inside, whichever resource said so."""

from dataclasses import dataclass

from outgate.model.names import Name
from outgate.resources.protocols import Protocol


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A declared port: `number` is what applications call, and what is called outside."""

    number: int
    protocol: Protocol
    name: str = ""

    @property
    def is_http(self) -> bool:
        """Whether the application's side of the call is HTTP, routed by its Host."""
        return self.protocol is not Protocol.TCP


@dataclass(frozen=True, slots=True)
class External:
    """A service outside: `host` is its DNS name, which the egress resolves and, over TLS, verifies.

    One without ports can be named, and not called. `created` is RFC 3339, or empty where nobody says.
    """

    name: Name
    host: str
    ports: tuple[Port, ...]
    created: str = ""

    @property
    def has_raw_port(self) -> bool:
        """Whether a port is plain TCP, whose client may wait for the server's first bytes."""
        return any(not port.is_http for port in self.ports)


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """A port of a pod that serves inside: `netns` is the path of its network namespace."""

    pod: Name
    netns: str
    port: int


@dataclass(frozen=True, slots=True)
class Internal:
    """A service inside, served by pods; `endpoints` has, for each port, those behind it."""

    name: Name
    ports: tuple[Port, ...]
    endpoints: tuple[tuple[Endpoint, ...], ...]
    created: str = ""

    @property
    def has_raw_port(self) -> bool:
        """Whether a port is plain TCP, whose client may wait for the server's first bytes."""
        return any(not port.is_http for port in self.ports)


Destination = External | Internal


def forms(name: Name, domain: str = "cluster.local") -> tuple[str, ...]:
    """All names that a Service answers to, the shortest first; that one is valid in its own namespace only.

    The forms are those of Istio 0.1: `s`, `s.ns`, `s.ns.svc`, `s.ns.svc.cluster`, `s.ns.svc.cluster.local`.
    """
    full = f"{name.name}.{name.namespace}.svc"
    labels = domain.split(".")
    longer = tuple(f"{full}.{'.'.join(labels[:count])}" for count in range(1, len(labels) + 1))
    return (name.name, str(name), full, *longer)
