"""`ExternalService`: one resource for one external service: hosts, ports, TLS, and what becomes of calls."""

from dataclasses import dataclass, field
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.documents import Document
from outgate.resources.metadata import ObjectMeta
from outgate.resources.native import objects
from outgate.resources.native.behaviours import BEHAVIOUR, BEHAVIOUR_INTO, Behaviour, behaviour
from outgate.resources.native.endpoints import (
    ENDPOINT,
    HEALTH_CHECK,
    LOAD_BALANCING,
    OUTLIER_DETECTION,
    PROXY,
)
from outgate.resources.native.forms import EXPORT, HOST, LABEL, RANGE
from outgate.resources.native.numbers import PORT
from outgate.resources.native.objects import Kind
from outgate.resources.native.pools import CIRCUIT_BREAKER, CONNECTION
from outgate.resources.native.routing import RULE, RuleSpec
from outgate.resources.native.spanning import PORT_RULES, SPEC_RULES
from outgate.resources.native.tls import TLS, TlsSpec
from outgate.resources.paths import child, item
from outgate.resources.problems import Location, Problem
from outgate.resources.schemas import Choice, Field, Fields, Items, Text
from outgate.traffic.references import Network, Protocol
from outgate.traffic.upstream import Resolution, Upstream


@dataclass(frozen=True, slots=True)
class PortSpec:
    """A port as written: `number` is called, `target` (0: the same) is called outside."""

    number: int
    protocol: Protocol
    name: str = ""
    target: int = 0
    tls: TlsSpec | None = None


@dataclass(frozen=True, slots=True)
class ExternalService:
    """A valid ExternalService. `upstream` is what its ports have in common; of TLS each port says for itself."""

    metadata: ObjectMeta
    location: Location
    hosts: tuple[str, ...]
    ports: tuple[PortSpec, ...]
    addresses: tuple[Network, ...] = ()
    export_to: tuple[str, ...] = (".",)
    upstream: Upstream = field(default_factory=Upstream)
    behaviour: Behaviour = field(default_factory=Behaviour)
    rules: tuple[RuleSpec, ...] = ()


PORT_SPEC = Fields(
    (
        Field("name", Text(LABEL), "A name for people."),
        Field(
            "port",
            PORT,
            "The port that applications call.",
            "number",
            required=True,
            example="port: 443",
        ),
        Field(
            "targetPort",
            PORT,
            "The port that is called outside; the same if it is left out.",
            "target",
        ),
        Field(
            "protocol",
            Choice({each.name: each for each in Protocol}),
            "What is spoken. HTTP, HTTP2, GRPC: the application speaks plain HTTP; with `tls` the egress opens TLS. "
            "HTTPS: HTTP with `tls: {}`. TLS: the application's own, passed through as it is. TCP: anything.",
            required=True,
            example="protocol: HTTP",
        ),
        Field("tls", TLS, "The egress opens TLS to the service, and verifies it. `{}` is enough."),
    ),
    PortSpec,
    PORT_RULES,
)
_UPSTREAM = (
    Field(
        "resolution",
        Choice({"DNS": Resolution.DNS, "Static": Resolution.STATIC}),
        "Where endpoints come from: DNS, or `endpoints` with IP addresses. A wildcard's are those of the name called.",
    ),
    Field("endpoints", Items(ENDPOINT, 64, 1), "Where the service is, if not where its hosts say."),
    Field("proxy", PROXY, "A proxy on the way."),
    Field(
        "privateRanges",
        Items(Text(RANGE), 16, 1, "."),
        "Private ranges that the service may be in; addresses there are refused otherwise.",
        "private",
    ),
    Field("connection", CONNECTION, "Connections to the service.", "pool"),
    Field("loadBalancing", LOAD_BALANCING, "How an endpoint is chosen.", "balancing"),
    Field("circuitBreaker", CIRCUIT_BREAKER, "The most that there may be at once.", "breakers"),
    Field(
        "outlierDetection",
        OUTLIER_DETECTION,
        "When an endpoint that fails is taken out.",
        "outlier",
    ),
    Field("healthCheck", HEALTH_CHECK, "Ask endpoints whether they are well.", "health"),
)
_UPSTREAM_INTO = tuple(each.into or each.name for each in _UPSTREAM)


def _spec(**given: Any) -> dict[str, Any]:
    upstream = {name: given.pop(name) for name in _UPSTREAM_INTO if name in given}
    said = {name: given.pop(name) for name in BEHAVIOUR_INTO if name in given}
    return given | {"upstream": Upstream(**upstream), "behaviour": behaviour(said)}


SPEC = Fields(
    (
        Field(
            "hosts",
            Items(Text(HOST), 64, 1, ".", folds=True),
            "What applications call: DNS names, or `*.example.com` for all names below one.",
            required=True,
            example="hosts: [api.example.com]",
        ),
        Field(
            "ports",
            Items(PORT_SPEC, 64, 1, "port"),
            "Ports that may be called.",
            required=True,
            example="ports: [{port: 443, protocol: HTTPS}]",
        ),
        Field(
            "addresses",
            Items(Text(RANGE), 64, 1, "."),
            "Address ranges by which the service may be called too.",
        ),
        Field(
            "exportTo",
            Items(Text(EXPORT), 64, 1, "."),
            "Namespaces whose pods may call it: names, `.` for this resource's own, `*` for all.",
            "export_to",
            default=["."],
        ),
        *_UPSTREAM,
        *BEHAVIOUR,
        Field(
            "rules",
            Items(RULE, 64, 1),
            "What is different for some requests: the first that fits counts, and replaces what is said above.",
        ),
    ),
    _spec,
    SPEC_RULES,
)
KIND = Kind(
    "ExternalService",
    "externalservices",
    ("extsvc",),
    "A service outside: by which hosts and ports it is called, and what becomes of calls.",
    SPEC,
    (
        ("Hosts", ".spec.hosts", 0),
        ("Port", ".spec.ports[0].port", 0),
        ("Protocol", ".spec.ports[0].protocol", 1),
    ),
)


def parse_external_service(
    document: Document, default_namespace: str
) -> tuple[ExternalService | None, tuple[Problem, ...]]:
    """Read the ExternalService in `document`, None if anything in it is an error, and all its problems."""
    check = Checker(document)
    metadata, spec = objects.read_object(check, document, KIND, default_namespace)
    if spec is not None:
        _warn(check, spec["ports"])
        _count(check, spec)
    if check.failed or spec is None:
        return None, check.problems
    return ExternalService(metadata, document.location, **spec), check.problems


_MOST_ROUTES = 16384
"""Of one resource: each costs the controller and every egress Envoy time and memory."""


def _count(check: Checker, spec: dict[str, Any]) -> None:
    """Check that hosts, ports and matches do not multiply without bound."""
    ports = sum(port.protocol.is_http for port in spec["ports"])
    rules: tuple[RuleSpec, ...] = spec.get("rules", ())
    routes = len(spec["hosts"]) * sum(_size(each) * (len(each.ports) or ports) for each in rules)
    if routes > _MOST_ROUTES:
        message = (
            f"hosts times HTTP ports times matches are {routes}, at most {_MOST_ROUTES} are allowed"
        )
        check.error("spec.rules", message, "divide it into several resources")


def _size(rule: RuleSpec) -> int:
    backends = sum(1 + len(each.failover) for each in rule.backends)
    return max(1, len(rule.matches)) + backends + len(rule.mirrors)


def _warn(check: Checker, ports: tuple[PortSpec, ...]) -> None:
    for index, port in enumerate(ports):
        if port.tls is not None and port.tls.skip_verify:
            check.warning(
                child(child(item("spec.ports", index), "tls"), "insecureSkipVerify"),
                "ANY CERTIFICATE IS ACCEPTED: whoever is in between can read and change these calls, credentials too",
                "remove it, and name the CA with ca",
            )
