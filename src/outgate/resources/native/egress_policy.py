"""`EgressPolicy`: which pods of its namespace may call what, how, how much, and with which credential."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.documents import Document
from outgate.resources.metadata import ObjectMeta
from outgate.resources.native import objects
from outgate.resources.native.forms import (
    DESCRIPTOR,
    HOST,
    LABEL,
    LABEL_KEY,
    LABEL_VALUE,
    OBJECT_NAME,
)
from outgate.resources.native.http_forms import HEADER_VALUE, SET_HEADER
from outgate.resources.native.matching import HEADER_MATCHES, METHODS, PATH_MATCH
from outgate.resources.native.numbers import PORT
from outgate.resources.native.objects import Kind
from outgate.resources.native.references import MaterialRef, secret_or_file
from outgate.resources.problems import Location, Problem
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
from outgate.traffic.permitting import (
    Effect,
    GlobalLimit,
    LocalLimit,
    Mode,
    Request,
    Share,
    Subject,
)


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


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """A valid EgressPolicy."""

    metadata: ObjectMeta
    location: Location
    subject: Subject
    rules: tuple[PolicyRuleSpec, ...] = ()
    mode: Mode = Mode.ENFORCE


def _selector(labels: tuple[tuple[str, str], ...] = ()) -> Mapping[str, str]:
    return MappingProxyType(dict(labels))


_POD_SELECTOR = Fields(
    (
        Field(
            "matchLabels",
            Pairs(LABEL_KEY, Text(LABEL_VALUE, empty=True), 16),
            "Labels that pods must have, all of them.",
            "labels",
        ),
    ),
    _selector,
)
SUBJECT = Fields(
    (
        Field(
            "podSelector", _POD_SELECTOR, "Pods with these labels; all if it is left out.", "labels"
        ),
        Field(
            "serviceAccounts",
            Items(Text(OBJECT_NAME), 64, 1, "."),
            "Pods of any of these service accounts; of all if they are left out.",
            "service_accounts",
        ),
    ),
    Subject,
)
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
SPEC = Fields(
    (
        Field("subject", SUBJECT, "Which pods of this namespace; all if it is left out."),
        Field(
            "mode",
            Choice({each.value: each for each in Mode}),
            "`Enforce` decides. `Audit` changes nothing, and notes in the log what it would have decided.",
            default="Enforce",
        ),
        Field(
            "rules",
            Items(RULE, 64),
            "What may be called, and what may not; without any, nothing may.",
        ),
    ),
    dict,
)
KIND = Kind(
    "EgressPolicy",
    "egresspolicies",
    ("egp",),
    "Which pods of this namespace may call what, how, how much, and with which credential.",
    SPEC,
    (("Mode", ".spec.mode", 0),),
)


_MOST_CONDITIONS = 8192
"""Of one policy: all policies together are one resource of every egress Envoy."""


def _size(rule: PolicyRuleSpec) -> int:
    requests = (len(each.methods) + len(each.paths) + len(each.headers) for each in rule.http)
    return sum(max(1, len(each.ports)) for each in rule.to or (CalleeSpec(),)) * max(
        1, sum(requests)
    )


def parse_egress_policy(
    document: Document, default_namespace: str
) -> tuple[EgressPolicy | None, tuple[Problem, ...]]:
    """Read the EgressPolicy in `document`, None if anything in it is an error, and all its problems."""
    check = Checker(document)
    metadata, spec = objects.read_object(check, document, KIND, default_namespace)
    if spec is not None and not check.failed:
        conditions = sum(map(_size, spec.get("rules", ())))
        if conditions > _MOST_CONDITIONS:
            message = (
                f"callees times conditions are {conditions}, at most {_MOST_CONDITIONS} are allowed"
            )
            check.error("spec.rules", message, "divide it into several policies")
    if check.failed or spec is None:
        return None, check.problems
    given = {"subject": Subject()} | spec
    return EgressPolicy(metadata, document.location, **given), check.problems
