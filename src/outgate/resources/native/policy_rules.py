"""Rules of an `EgressPolicy`: what may be called, by which requests, how much, and with which credential."""

from dataclasses import dataclass
from typing import Any

from outgate.resources.native.forms import DESCRIPTOR, HOST, LABEL, OBJECT_NAME
from outgate.resources.native.http_forms import HEADER_VALUE, SET_HEADER
from outgate.resources.native.matching import HEADER_MATCHES, METHODS, PATH_MATCH
from outgate.resources.native.numbers import PORT
from outgate.resources.native.references import MaterialRef, secret_or_file
from outgate.resources.schemas import (
    Choice,
    Duration,
    Field,
    Fields,
    Items,
    Number,
    Pairs,
    Rule,
    Text,
    one_of,
)
from outgate.traffic.permitting import Effect, GlobalLimit, LocalLimit, Request, Share


@dataclass(frozen=True, slots=True)
class CalleeSpec:
    """What may be called, as written: at most one of the first three; `namespace` empty for the own."""

    external_service: str = ""
    service: str = ""
    host: str = ""
    namespace: str = ""
    ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CredentialSpec:
    """A header, and where its value comes from, as written."""

    header: str
    value: MaterialRef
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class PolicyRuleSpec:
    """A rule as written."""

    action: Effect = Effect.ALLOW
    to: tuple[CalleeSpec, ...] = ()
    http: tuple[Request, ...] = ()
    rate_limit: LocalLimit | None = None
    global_limit: GlobalLimit | None = None
    credential: CredentialSpec | None = None


CALLEE = Fields(
    (
        Field(
            "externalService",
            Text(OBJECT_NAME),
            "All hosts of an ExternalService.",
            "external_service",
        ),
        Field("service", Text(LABEL), "A Service of type ExternalName."),
        Field(
            "host",
            Text(HOST),
            "A host, or `*.example.com` for all below one, whichever resource declares it.",
        ),
        Field(
            "namespace", Text(LABEL), "Where the resource is; the own namespace if it is left out."
        ),
        Field("ports", Items(PORT, 64, 1, "."), "Ports; all if they are left out."),
    ),
    CalleeSpec,
    (
        one_of("externalService", "service", "host", least=0),
        Rule(
            bool,
            "has(self.externalService) || has(self.service) || has(self.host) || has(self.ports)",
            "says nothing, which would be everything",
            "for example host: api.example.com; or remove `to` for everything that is declared",
        ),
        Rule(
            lambda value: (
                value.get("namespace") is None
                or value.get("externalService") is not None
                or value.get("service") is not None
            ),
            "!has(self.namespace) || has(self.externalService) || has(self.service)",
            "is of use with externalService and service only",
            "remove it",
            "namespace",
        ),
    ),
)
REQUEST = Fields(
    (
        Field("methods", METHODS, "Any of these methods."),
        Field("paths", Items(PATH_MATCH, 16, 1), "Any of these paths."),
        Field("headers", HEADER_MATCHES, "All of these headers."),
    ),
    Request,
    (
        Rule(
            bool,
            "has(self.methods) || has(self.paths) || has(self.headers)",
            "says nothing, which would be every request",
            "for example methods: [GET]; or remove `http`",
        ),
    ),
)
_COUNT = Number(1, 1_000_000_000)
LOCAL_LIMIT = Fields(
    (
        Field("requests", _COUNT, "How many requests.", required=True, example="requests: 10"),
        Field("per", Duration("50ms"), "In how long.", "seconds", default="1s"),
        Field("burst", _COUNT, "How many at once; as many as `requests` if it is left out."),
        Field(
            "share",
            Choice({each.value: each for each in Share}),
            "`Pod`: each pod has the limit on its own. `All`: all that the rule is for have it together.",
            default="All",
        ),
    ),
    LocalLimit,
    (
        Rule(
            lambda value: value.get("burst") is None or value["burst"] >= value["requests"],
            "!has(self.burst) || self.burst >= self.requests",
            "is less than requests, so that they could never all be made",
            "write as much as requests or more, or remove it",
            "burst",
        ),
    ),
)
GLOBAL_LIMIT = Fields(
    (
        Field(
            "domain",
            Text(longest=128),
            "Domain of the limit in that service.",
            required=True,
            example="domain: outgate",
        ),
        Field(
            "descriptors",
            Pairs(DESCRIPTOR, Text(longest=256), 16),
            "What that service counts by.",
            required=True,
            example="descriptors: {tier: gold}",
        ),
    ),
    GlobalLimit,
)


def _credential(header: str, prefix: str = "", **source: Any) -> CredentialSpec:
    return CredentialSpec(header, MaterialRef(**source), prefix)


CREDENTIAL = Fields(
    (
        Field("header", Text(SET_HEADER), "Header that the egress sets.", default="Authorization"),
        Field(
            "prefix",
            Text(HEADER_VALUE, empty=True),
            "What stands before the value, such as `Bearer `.",
            default="",
        ),
        *secret_or_file(),
    ),
    _credential,
    (one_of("secretRef", "file"),),
)


def _allows(name: str) -> Rule:
    return Rule(
        lambda value: value.get(name) is None or value.get("action") == "Allow",
        f"!has(self.{name}) || self.action == 'Allow'",
        "is for action Allow only: what is denied is not called",
        "remove it, or write action: Allow",
        name,
    )


RULE = Fields(
    (
        Field(
            "action",
            Choice({each.value: each for each in Effect}),
            "Deny wins over Allow, whatever the order, and in whichever policy.",
            default="Allow",
        ),
        Field(
            "to",
            Items(CALLEE, 32, 1),
            "Any of these; everything that is declared if it is left out.",
        ),
        Field(
            "http",
            Items(REQUEST, 16, 1),
            "Requests that any of these fits; other protocols' calls fit none. All calls if it is left out.",
        ),
        Field(
            "rateLimit", LOCAL_LIMIT, "A limit that each egress counts on its own.", "rate_limit"
        ),
        Field(
            "globalRateLimit",
            GLOBAL_LIMIT,
            "A limit that a rate-limit service counts.",
            "global_limit",
        ),
        Field(
            "credential",
            CREDENTIAL,
            "A header that the egress puts in, so that the pod never has its value.",
        ),
    ),
    PolicyRuleSpec,
    (
        *(_allows(each) for each in ("rateLimit", "globalRateLimit", "credential")),
        Rule(
            lambda value: value.get("credential") is None or value.get("to") is not None,
            "!has(self.credential) || has(self.to)",
            "would go to everything that is declared",
            "say in `to` who is to have it",
            "credential",
        ),
    ),
)
