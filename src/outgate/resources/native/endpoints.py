"""Where an external service is, how one of its places is chosen, and which are well, as one writes it."""

from typing import Any

from outgate.resources.native.forms import NAME, PLACE
from outgate.resources.native.http_forms import HEADER, PATH
from outgate.resources.native.numbers import (
    COUNT,
    PORT,
    POSITIVE,
    STATUS,
    WHOLE_PERCENT,
)
from outgate.resources.schemas import (
    Choice,
    Duration,
    Field,
    Fields,
    Items,
    Number,
    Rule,
    Text,
    one_of,
)
from outgate.traffic.upstream import (
    LARGEST_RING,
    NO_SOCKS5,
    Algorithm,
    Balancing,
    Endpoint,
    Hash,
    HashKey,
    Health,
    Outlier,
    Probe,
    Proxy,
    ProxyKind,
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
            example="address: 198.51.100.1",
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
            Choice({"HTTP": ProxyKind.HTTP}),
            f"How it is spoken to: HTTP is by CONNECT. There is no other, as {NO_SOCKS5}.",
            "kind",
            default="HTTP",
        ),
        Field("address", Text(PLACE), "IP address or DNS name.", "host", required=True),
        Field("port", PORT, "Its port.", required=True, example="port: 3128"),
    ),
    Proxy,
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
            Number(1, LARGEST_RING, "this"),
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
