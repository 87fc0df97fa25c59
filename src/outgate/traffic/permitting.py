"""Who may call what, how, how much, and with which credential."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from outgate.traffic.references import Material
from outgate.traffic.routing import Field, Text


class Mode(enum.StrEnum):
    """Whether a policy decides, or only notes in the log what it would have decided."""

    ENFORCE = "Enforce"
    AUDIT = "Audit"


class Effect(enum.StrEnum):
    """What a rule does with what it matches; deny wins, whatever the order."""

    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True, slots=True)
class Subject:
    """Which pods of the policy's own namespace: all of both must hold; nothing said is all pods."""

    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    service_accounts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Callee:
    """What may be called: a destination by kind, namespace and name, or by host; nothing said is everything declared.

    `host` is a name, or `*.example.com` for those below it. No `ports` are all ports.
    """

    kind: str = ""
    namespace: str = ""
    name: str = ""
    host: str = ""
    ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Request:
    """How an HTTP destination may be called: all that is said must hold. Other protocols' calls never match."""

    methods: tuple[str, ...] = ()
    paths: tuple[Text, ...] = ()
    headers: tuple[Field, ...] = ()


class Share(enum.StrEnum):
    """For whom a limit is counted: each pod on its own, or all that the rule is for together."""

    POD = "Pod"
    ALL = "All"


@dataclass(frozen=True, slots=True)
class LocalLimit:
    """A token bucket in each egress Envoy: `requests` in `seconds`, `burst` at once (0: as many as `requests`)."""

    requests: int
    seconds: float
    burst: int = 0
    share: Share = Share.ALL


@dataclass(frozen=True, slots=True)
class GlobalLimit:
    """Counted by the rate-limit service that a setting names, under `domain`; it is asked with `descriptors`."""

    domain: str
    descriptors: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Credential:
    """A header that the egress puts in: `prefix` and then the material's text without its final line break."""

    header: str
    material: Material
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """`callees` and `requests`: any of each will do, and none is all. Limits and the credential go with Allow."""

    effect: Effect = Effect.ALLOW
    callees: tuple[Callee, ...] = ()
    requests: tuple[Request, ...] = ()
    local_limit: LocalLimit | None = None
    global_limit: GlobalLimit | None = None
    credential: Credential | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy; it speaks of calls from its own namespace only. `name` is its own, without the namespace.

    In a namespace with any enforced policy a pod may call only what a rule of those that select it allows, and nothing
    that one of them denies. An audited policy changes nothing but the log.
    """

    namespace: str
    name: str
    subject: Subject
    rules: tuple[PolicyRule, ...]
    mode: Mode = Mode.ENFORCE
