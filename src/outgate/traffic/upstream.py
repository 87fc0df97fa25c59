"""How the egress connects to what is outside: endpoints, TLS, pools, health.

All of it is optional: None leaves it to what ranks lower, and at last to the defaults of `xds`. Durations are seconds.
"""

import enum
from dataclasses import dataclass, fields, replace

from outgate.traffic.references import Material, Network


class Resolution(enum.StrEnum):
    """Where endpoints come from: DNS (the default), addresses that are written out, or the name in each call.

    ADDRESS is the address that each call is for; no resource says it of itself, as `External.networks` do.
    """

    DNS = "dns"
    STATIC = "static"
    DYNAMIC = "dynamic"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One place that serves: `address` is an IP address or a DNS name, `port` 0 for the port's own target.

    Priority 0 is used first; others as those before them fail. The locality is region, zone and
    sub-zone, any of which may be empty.
    """

    address: str
    port: int = 0
    priority: int = 0
    weight: int = 1
    locality: tuple[str, str, str] = ("", "", "")


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS that the egress opens: verified, unless `verify` is off.

    `sni` and `names` (subject alternative names, any of which will do) are the host's own where they are empty.
    `ca` replaces the system's bundle. `certificate` and `key` are the client's, in PEM. Versions are "1.2" and "1.3",
    `ciphers` are OpenSSL's names, for TLS 1.2.
    """

    sni: str = ""
    names: tuple[str, ...] = ()
    ca: Material | None = None
    certificate: Material | None = None
    key: Material | None = None
    minimum: str = ""
    maximum: str = ""
    ciphers: tuple[str, ...] = ()
    verify: bool = True


class Algorithm(enum.StrEnum):
    """How an endpoint is chosen."""

    ROUND_ROBIN = "round-robin"
    LEAST_REQUEST = "least-request"
    RANDOM = "random"
    RING_HASH = "ring-hash"


LARGEST_RING = 65_536
"""Places on a ring: each takes memory of every egress Envoy, for each port of each host; Envoy itself takes 8 Mi."""


class HashKey(enum.StrEnum):
    """What of a request a ring is hashed by."""

    HEADER = "header"
    COOKIE = "cookie"
    QUERY = "query"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Hash:
    """`name` of the header, cookie or parameter; `ttl` of a cookie that the egress sets itself, None for never."""

    by: HashKey
    name: str = ""
    ttl: float | None = None


@dataclass(frozen=True, slots=True)
class Balancing:
    """The algorithm, and for a ring by what. Localities share by the weight of their endpoints that are well."""

    algorithm: Algorithm = Algorithm.ROUND_ROBIN
    hashes: tuple[Hash, ...] = ()
    ring_size: int = 0


@dataclass(frozen=True, slots=True)
class Breakers:
    """Most of each that there may be at once; `retry_budget` is a percentage of the active requests.

    Beside a budget `retries` is how many there may be however few the requests.
    """

    connections: int | None = None
    pending: int | None = None
    requests: int | None = None
    retries: int | None = None
    retry_budget: float | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """Connections: how long to wait for one, how long and how often it is used, and HTTP/2's limits."""

    connect_timeout: float | None = None
    idle_timeout: float | None = None
    lifetime: float | None = None
    requests_per_connection: int | None = None
    concurrent_streams: int | None = None
    stream_window: int | None = None
    connection_window: int | None = None
    keepalive_time: float | None = None
    keepalive_interval: float | None = None
    keepalive_probes: int | None = None


@dataclass(frozen=True, slots=True)
class Outlier:
    """When an endpoint is taken out, and for how long; percentages are 0 to 100."""

    consecutive_errors: int | None = None
    consecutive_gateway_errors: int | None = None
    consecutive_local_failures: int | None = None
    interval: float | None = None
    ejection_time: float | None = None
    max_ejection_percent: int | None = None
    min_healthy_percent: int | None = None


class Probe(enum.StrEnum):
    """How health is asked for."""

    HTTP = "http"
    TCP = "tcp"
    GRPC = "grpc"


@dataclass(frozen=True, slots=True)
class Health:
    """Active health checks; `statuses` are those that are healthy, 200 where there are none; `service` is gRPC's."""

    probe: Probe
    path: str = "/"
    host: str = ""
    service: str = ""
    interval: float = 10.0
    timeout: float = 2.0
    healthy: int = 1
    unhealthy: int = 3
    statuses: tuple[int, ...] = ()


class ProxyKind(enum.StrEnum):
    """How a proxy on the way is spoken to.

    Envoy 1.40 speaks HTTP's CONNECT only: a front end refuses SOCKS5 with `NO_SOCKS5`, and what says it leads nowhere.
    """

    HTTP = "http"
    SOCKS5 = "socks5"


NO_SOCKS5 = "Envoy 1.40 does not speak SOCKS5"
"""Why such a proxy on the way is refused."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy on the way: `host` is an IP address or a DNS name. It resolves the names of the endpoints."""

    kind: ProxyKind
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Upstream:
    """All of it. `private` are ranges, refused otherwise, that this destination may be in.

    `names` are subject alternative names for TLS that names none itself, whoever says that it is opened.
    Addresses that are written out, as endpoints or as a proxy, need not be named there.
    """

    resolution: Resolution | None = None
    endpoints: tuple[Endpoint, ...] | None = None
    tls: Tls | None = None
    balancing: Balancing | None = None
    breakers: Breakers | None = None
    pool: Pool | None = None
    outlier: Outlier | None = None
    health: Health | None = None
    proxy: Proxy | None = None
    private: tuple[Network, ...] | None = None
    names: tuple[str, ...] | None = None

    def over(self, lower: "Upstream") -> "Upstream":
        """Return what holds where this ranks before `lower`: field by field, whole values, the first that is there."""
        said = {
            each.name: value
            for each in fields(self)
            if (value := getattr(self, each.name)) is not None
        }
        found = replace(lower, **said) if said else lower
        if found.names and found.tls is not None and not found.tls.names:
            return replace(found, tls=replace(found.tls, names=found.names))
        return found
