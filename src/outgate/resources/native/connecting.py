"""How the egress connects to an external service, as one writes it: TLS, endpoints, pools, health."""

from dataclasses import dataclass
from typing import Any

from outgate.resources.native.forms import CIPHER, FILE, HEADER, NAME, PATH, PLACE
from outgate.resources.native.references import PORT, MaterialRef, SecretRef, material, secret
from outgate.resources.schemas import (
    Choice,
    Duration,
    Field,
    Fields,
    Flag,
    Items,
    Number,
    Rule,
    Size,
    Text,
    excludes,
    needs,
    one_of,
)
from outgate.traffic.upstream import (
    Algorithm,
    Balancing,
    Breakers,
    Endpoint,
    Hash,
    HashKey,
    Health,
    Outlier,
    Pool,
    Probe,
    Proxy,
    ProxyKind,
)

COUNT = Number(1, 2**31 - 1, "this")
PERCENT = Number(0, 100, "a percentage", whole=False)
WHOLE_PERCENT = Number(0, 100, "a percentage")
STATUS = Number(100, 599, "a status code")
POSITIVE = Duration("1ms")
WINDOW = Size(65535, 2**31 - 1)
_VERSIONS = {"1.2": "1.2", "1.3": "1.3"}


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A Secret of type kubernetes.io/tls, or two files."""

    secret: SecretRef | None = None
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class TlsSpec:
    """TLS as written; what it refers to is of the resource's own namespace."""

    sni: str = ""
    names: tuple[str, ...] = ()
    ca: MaterialRef | None = None
    client: ClientCertificate | None = None
    minimum: str = ""
    maximum: str = ""
    ciphers: tuple[str, ...] = ()
    skip_verify: bool = False


_TLS_SECRET = Fields(
    (
        Field(
            "name",
            secret().fields[0].schema,
            "Name of a Secret of type kubernetes.io/tls.",
            required=True,
        ),
    ),
    SecretRef,
)
CLIENT_CERTIFICATE = Fields(
    (
        Field(
            "secretRef",
            _TLS_SECRET,
            "A Secret with `tls.crt` and `tls.key`, in this namespace.",
            "secret",
        ),
        Field(
            "certificateFile",
            Text(FILE),
            "PEM file of the certificate and its chain.",
            "certificate",
            local=True,
        ),
        Field("keyFile", Text(FILE), "PEM file of its private key.", "key", local=True),
    ),
    ClientCertificate,
    (
        one_of("secretRef", "certificateFile"),
        needs("certificateFile", "keyFile"),
        needs("keyFile", "certificateFile"),
    ),
)
TLS = Fields(
    (
        Field("sni", Text(NAME), "Server name to ask for; the host's own if it is left out."),
        Field(
            "subjectAltNames",
            Items(Text(longest=253), 16, 1, "."),
            "Names of which the certificate must have one; the host's own if they are left out.",
            "names",
        ),
        Field("ca", material("ca.crt"), "CA certificates (PEM) to trust instead of the system's."),
        Field(
            "clientCertificate",
            CLIENT_CERTIFICATE,
            "The certificate to show to the server (mutual TLS).",
            "client",
        ),
        Field("minVersion", Choice(_VERSIONS), "Lowest version of TLS.", "minimum"),
        Field("maxVersion", Choice(_VERSIONS), "Highest version of TLS.", "maximum"),
        Field(
            "ciphers", Items(Text(CIPHER), 32, 1, "."), "Ciphers for TLS 1.2, by OpenSSL's names."
        ),
        Field(
            "insecureSkipVerify",
            Flag(),
            "Accept any certificate, from anybody who is in between. For a test against a server of your own.",
            "skip_verify",
        ),
    ),
    TlsSpec,
    (
        Rule(
            lambda tls: not (tls.get("minVersion") == "1.3" and tls.get("maxVersion") == "1.2"),
            "!(has(self.minVersion) && has(self.maxVersion) && self.minVersion == '1.3' && self.maxVersion == '1.2')",
            "is lower than minVersion",
            "write maxVersion: '1.3', or remove it",
            "maxVersion",
        ),
    ),
)


def _locality(text: str) -> tuple[str, str, str]:
    region, zone, subzone, *_ = *text.split("/"), "", ""
    return region, zone, subzone


def _endpoint(locality: str = "", **given: Any) -> Endpoint:
    return Endpoint(locality=_locality(locality), **given)


ENDPOINT = Fields(
    (
        Field(
            "address",
            Text(PLACE),
            "IP address or DNS name.",
            required=True,
            example="address: 192.0.2.1",
        ),
        Field("port", PORT, "Port; if it is left out, the port's targetPort."),
        Field(
            "priority",
            Number(0, 15, "a priority"),
            "0 is used first, the next as those before it fail.",
            default=0,
        ),
        Field(
            "weight", Number(1, 1000, "a weight"), "Share among those of one priority.", default=1
        ),
        Field(
            "locality",
            Text(longest=128),
            "Where it is: `region/zone/subzone`, parts from the right may be left out.",
        ),
    ),
    _endpoint,
)
PROXY = Fields(
    (
        Field(
            "type",
            Choice({"HTTP": ProxyKind.HTTP, "SOCKS5": ProxyKind.SOCKS5}),
            "How it is spoken to.",
            "kind",
            default="HTTP",
        ),
        Field("address", Text(PLACE), "IP address or DNS name.", "host", required=True),
        Field("port", PORT, "Its port.", required=True, example="port: 3128"),
    ),
    Proxy,
)


def _pool(
    http2: dict[str, Any] | None = None, keepalive: dict[str, Any] | None = None, **given: Any
) -> Pool:
    return Pool(**given, **(http2 or {}), **(keepalive or {}))


HTTP2 = Fields(
    (
        Field(
            "maxConcurrentStreams", COUNT, "Requests at once on a connection.", "concurrent_streams"
        ),
        Field("streamWindow", WINDOW, "Bytes on the way for one request.", "stream_window"),
        Field(
            "connectionWindow", WINDOW, "Bytes on the way for one connection.", "connection_window"
        ),
    ),
    dict,
)
KEEPALIVE = Fields(
    (
        Field(
            "time", Duration("1s"), "Silence after which the first probe is sent.", "keepalive_time"
        ),
        Field("interval", Duration("1s"), "Time between probes.", "keepalive_interval"),
        Field(
            "probes",
            Number(1, 100, "this"),
            "Probes without an answer after which the connection is closed.",
            "keepalive_probes",
        ),
    ),
    dict,
)
CONNECTION = Fields(
    (
        Field("connectTimeout", POSITIVE, "How long to wait for a connection.", "connect_timeout"),
        Field(
            "idleTimeout", POSITIVE, "Silence after which a connection is closed.", "idle_timeout"
        ),
        Field(
            "maxLifetime", POSITIVE, "Age at which a connection takes no more requests.", "lifetime"
        ),
        Field(
            "maxRequestsPerConnection",
            COUNT,
            "Requests after which a connection is replaced.",
            "requests_per_connection",
        ),
        Field("http2", HTTP2, "Limits of HTTP/2."),
        Field("keepalive", KEEPALIVE, "TCP keep-alive."),
    ),
    _pool,
)


def _hash(**given: Any) -> Hash:
    ((by, value),) = given.items()
    if by == "cookie":
        return Hash(HashKey.COOKIE, value["name"], value.get("ttl"))
    return Hash(HashKey(by), "" if by == "source" else value)


_COOKIE = Fields(
    (
        Field("name", Text(HEADER), "Its name.", required=True),
        Field(
            "ttl",
            Duration(),
            "If it is given, the egress sets the cookie where there is none, for this long.",
        ),
    ),
    dict,
)
HASH = Fields(
    (
        Field("header", Text(HEADER), "A header's value."),
        Field("cookie", _COOKIE, "A cookie's value."),
        Field("query", Text(longest=128), "A query parameter's value."),
        Field("source", Choice({"Pod": True}), "`Pod`: the address of the calling pod."),
    ),
    _hash,
    (one_of("header", "cookie", "query", "source"),),
)
LOAD_BALANCING = Fields(
    (
        Field(
            "algorithm",
            Choice(
                {
                    "RoundRobin": Algorithm.ROUND_ROBIN,
                    "LeastRequest": Algorithm.LEAST_REQUEST,
                    "Random": Algorithm.RANDOM,
                    "RingHash": Algorithm.RING_HASH,
                }
            ),
            "How an endpoint is chosen.",
            default="RoundRobin",
        ),
        Field(
            "hashOn",
            Items(HASH, 4, 1),
            "What of a request decides, for RingHash; the first that is there.",
            "hashes",
        ),
        Field(
            "ringSize",
            Number(1, 8_388_608, "this"),
            "Least number of places on the ring.",
            "ring_size",
        ),
    ),
    Balancing,
    (
        Rule(
            lambda value: value.get("hashOn") is None or value.get("algorithm") == "RingHash",
            "!has(self.hashOn) || self.algorithm == 'RingHash'",
            "is for RingHash only",
            "write algorithm: RingHash",
            "hashOn",
        ),
        Rule(
            lambda value: value.get("hashOn") is not None or value.get("algorithm") != "RingHash",
            "has(self.hashOn) || self.algorithm != 'RingHash'",
            "RingHash needs hashOn",
            "for example hashOn: [{header: x-user}]",
            "algorithm",
        ),
    ),
)
CIRCUIT_BREAKER = Fields(
    (
        Field("maxConnections", COUNT, "Connections at once.", "connections"),
        Field(
            "maxPendingRequests", COUNT, "Requests that wait for a connection at once.", "pending"
        ),
        Field("maxRequests", COUNT, "Requests at once.", "requests"),
        Field("maxRetries", COUNT, "Retries at once.", "retries"),
        Field(
            "retryBudgetPercent",
            PERCENT,
            "Retries at once, as a share of the requests at once.",
            "retry_budget",
        ),
    ),
    Breakers,
    (excludes("maxRetries", "retryBudgetPercent"),),
)
OUTLIER_DETECTION = Fields(
    (
        Field(
            "consecutiveErrors",
            COUNT,
            "5xx answers, or failed connections, in a row.",
            "consecutive_errors",
        ),
        Field(
            "consecutiveGatewayErrors",
            COUNT,
            "502, 503 or 504 in a row.",
            "consecutive_gateway_errors",
        ),
        Field(
            "consecutiveLocalFailures",
            COUNT,
            "Failed or timed-out connections in a row.",
            "consecutive_local_failures",
        ),
        Field("interval", POSITIVE, "How often it is looked."),
        Field(
            "ejectionTime",
            POSITIVE,
            "How long an endpoint is taken out, times how often it was before.",
            "ejection_time",
        ),
        Field(
            "maxEjectionPercent",
            WHOLE_PERCENT,
            "The share that may be out at once.",
            "max_ejection_percent",
        ),
        Field(
            "minHealthyPercent",
            WHOLE_PERCENT,
            "With fewer healthy ones than this, all are used.",
            "min_healthy_percent",
        ),
    ),
    Outlier,
)
_HTTP_ONLY = ("path", "host", "statuses")


def _only(kind: str, field: str) -> Rule:
    return Rule(
        lambda value: value.get(field) is None or value.get("type") == kind,
        f"!has(self.{field}) || self.type == '{kind}'",
        f"is for type {kind} only",
        f"write type: {kind}, or remove it",
        field,
    )


HEALTH_CHECK = Fields(
    (
        Field(
            "type",
            Choice({"HTTP": Probe.HTTP, "TCP": Probe.TCP, "GRPC": Probe.GRPC}),
            "How it is asked.",
            "probe",
            required=True,
            example="type: TCP",
        ),
        Field("path", Text(PATH), "Path that is asked for, `/` if it is left out; HTTP only."),
        Field("host", Text(NAME), "Host header, the host's own if it is left out; HTTP only."),
        Field(
            "statuses",
            Items(STATUS, 16, 1, "."),
            "Statuses of the healthy, 200 if they are left out; HTTP only.",
        ),
        Field("service", Text(longest=253), "Service name of gRPC's health protocol; GRPC only."),
        Field("interval", Duration("100ms"), "Time between checks.", default="10s"),
        Field("timeout", POSITIVE, "How long to wait for an answer.", default="2s"),
        Field(
            "healthyThreshold",
            Number(1, 100, "this"),
            "Good answers in a row after which it is used.",
            "healthy",
            default=1,
        ),
        Field(
            "unhealthyThreshold",
            Number(1, 100, "this"),
            "Bad ones in a row after which it is not.",
            "unhealthy",
            default=3,
        ),
    ),
    Health,
    (*(_only("HTTP", each) for each in _HTTP_ONLY), _only("GRPC", "service")),
)
