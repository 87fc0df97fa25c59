"""What a workload may call: external services, and services inside, whichever resource said so."""

from dataclasses import dataclass, field

from outgate.model.names import Name
from outgate.traffic.references import Network, Protocol, Target
from outgate.traffic.routing import Rule
from outgate.traffic.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Port:
    """A declared port: `number` is what applications call, `target` (0: the same) what is called outside."""

    number: int
    protocol: Protocol
    name: str = ""
    target: int = 0
    upstream: Upstream = field(default_factory=Upstream)

    @property
    def is_http(self) -> bool:
        """Whether the application's side of the call is HTTP, routed by its Host."""
        return self.protocol.is_http

    @property
    def outside(self) -> int:
        """The port that is called outside."""
        return self.target or self.number


@dataclass(frozen=True, slots=True)
class Peer:
    """Another destination that a rule leads to: `name` and `host` are its own, `port` the one that is meant.

    A target without a port has a peer for each port that both destinations have.
    """

    target: Target
    name: Name
    host: str
    port: Port


EVERYWHERE = None
"""Visible to callers of every namespace."""


@dataclass(frozen=True, slots=True)
class External:
    """A service outside: `host` is its DNS name, which the egress resolves and, over TLS, verifies.

    One without ports can be named, and not called. `created` is RFC 3339, or empty where nobody says. One that a
    Service declares has the Service's name, and answers to its `forms`. Any other is known by its host, which has a
    dot, so that the two never meet: `name` is the declaring namespace and the host (`*.example.com` for a wildcard,
    whose `host` is the same). `visible` are the namespaces whose callers may see it, EVERYWHERE for all; callers in its
    own namespace see theirs before any other's. `networks` are what it may also be called by, as an address.
    `source` is the resource that declares it: `externalservice/github`. `peers` has each target of `rules` that there
    is; a target that it has not, is not declared, or may not be seen from here.
    """

    name: Name
    host: str
    ports: tuple[Port, ...]
    created: str = ""
    visible: frozenset[str] | None = EVERYWHERE
    rules: tuple[Rule, ...] = ()
    networks: tuple[Network, ...] = ()
    source: str = ""
    peers: tuple[Peer, ...] = ()
    of_wildcard: bool = False
    """Whether it is one name of those that a wildcard stands for, told apart as somebody else declares that name."""

    def seen_from(self, namespace: str) -> bool:
        """Whether callers of a namespace may see it."""
        return self.visible is None or namespace == self.name.namespace or namespace in self.visible

    @property
    def has_raw_port(self) -> bool:
        """Whether a port is plain TCP, whose client may wait for the server's first bytes."""
        return any(port.protocol is Protocol.TCP for port in self.ports)

    @property
    def has_tls_port(self) -> bool:
        """Whether a port is TLS of the application itself, which is passed through."""
        return any(port.protocol is Protocol.TLS for port in self.ports)

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for all names below one."""
        return self.name.name.startswith("*.")

    @property
    def is_host(self) -> bool:
        """Whether it is known by its host, and not by a Service's name."""
        return "." in self.name.name


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
        return any(port.protocol is Protocol.TCP for port in self.ports)


Destination = External | Internal


def forms(name: Name, domain: str = "cluster.local") -> tuple[str, ...]:
    """All names that a Service answers to, the shortest first; that one is valid in its own namespace only.

    The forms are those of Istio 0.1: `s`, `s.ns`, `s.ns.svc`, `s.ns.svc.cluster`, `s.ns.svc.cluster.local`.
    """
    full = f"{name.name}.{name.namespace}.svc"
    labels = domain.split(".")
    longer = tuple(f"{full}.{'.'.join(labels[:count])}" for count in range(1, len(labels) + 1))
    return (name.name, str(name), full, *longer)


def is_inside(host: str, domain: str = "cluster.local") -> bool:
    """Whether a host, or a name that a wildcard stands for, is the cluster's own to resolve, or the machine itself."""
    wildcard = host.startswith("*.")
    bare = f".{host.removeprefix('*.').rstrip('.').lower()}"
    labels = f"svc.{domain}".split(".")
    endings = [f".{'.'.join(labels[:count])}" for count in range(1, len(labels) + 1)]
    if wildcard and any(each.endswith(bare) for each in endings):
        return True
    return bare.endswith((*endings, f".{domain}", ".localhost"))
