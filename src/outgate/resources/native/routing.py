"""What becomes of requests, as one writes it: behaviour of all, and rules for some."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from outgate.resources.native.connecting import PERCENT, STATUS
from outgate.resources.native.forms import HEADER, LABEL, METHOD, NAME, PATH, REGEX, SET_HEADER
from outgate.resources.native.references import (
    DESTINATION_FIELDS,
    DESTINATIONS,
    PORT,
    DestinationRef,
)
from outgate.resources.schemas import (
    Choice,
    Duration,
    Field,
    Fields,
    Flag,
    Items,
    Number,
    Pairs,
    Rule,
    Size,
    Text,
    one_of,
)
from outgate.traffic.routing import (
    Answer,
    Comparison,
    Edits,
    Fault,
    Match,
    Redirect,
    Retries,
    Rewrite,
    Timeouts,
)
from outgate.traffic.routing import Field as NamedCondition
from outgate.traffic.routing import Text as Condition

RETRIES_ON = (
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
)
"""Envoy's: those of HTTP, and from `cancelled` on those of gRPC."""
HEADER_VALUE = Text(longest=4096, empty=True)
POSITIVE = Duration("1ms")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What holds for requests; None is not said. `decompress` too."""

    timeouts: Timeouts | None = None
    retries: Retries | None = None
    fault: Fault | None = None
    request: Edits | None = None
    response: Edits | None = None
    max_body: int | None = None
    decompress: bool | None = None


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """One of several destinations of a rule, as written."""

    to: DestinationRef
    weight: int = 1
    failover: tuple[DestinationRef, ...] = ()
    request: Edits = field(default_factory=Edits)
    response: Edits = field(default_factory=Edits)


@dataclass(frozen=True, slots=True)
class MirrorSpec:
    """Where a copy goes, as written."""

    to: DestinationRef
    percent: float = 100.0


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """A rule as written."""

    name: str = ""
    matches: tuple[Match, ...] = ()
    ports: tuple[int, ...] = ()
    backends: tuple[BackendSpec, ...] = ()
    mirrors: tuple[MirrorSpec, ...] = ()
    redirect: Redirect | None = None
    answer: Answer | None = None
    rewrite: Rewrite | None = None
    behaviour: Behaviour = field(default_factory=Behaviour)


def edits(
    put: tuple[Any, ...] = (), add: tuple[Any, ...] = (), remove: tuple[str, ...] = ()
) -> Edits:
    """Return changes of headers."""
    return Edits(put, add, remove)


EDITS = Fields(
    (
        Field(
            "set",
            Pairs(SET_HEADER, HEADER_VALUE, 32),
            "Headers to set, whether they are there or not.",
            "put",
        ),
        Field(
            "add",
            Pairs(SET_HEADER, HEADER_VALUE, 32),
            "Headers to add to those that are there.",
            "add",
        ),
        Field("remove", Items(Text(SET_HEADER), 32, 0, "."), "Headers to take away."),
    ),
    edits,
)
TIMEOUTS = Fields(
    (
        Field(
            "request", Duration(), "For the whole answer, all attempts together; `0s` is no limit."
        ),
        Field("idle", Duration(), "Silence after which the call is given up; `0s` is no limit."),
    ),
    Timeouts,
)


def _retries(backoff: Mapping[str, Any] | None = None, **given: Any) -> Retries:
    return Retries(**given, **(backoff or {}))


_BACKOFF = Fields(
    (
        Field(
            "base",
            POSITIVE,
            "Before the first retry; it grows from there, and is drawn by lot.",
            "backoff",
            required=True,
            example="base: 25ms",
        ),
        Field("max", POSITIVE, "At most; ten times the base if it is left out.", "backoff_max"),
    ),
    dict,
)
RETRIES = Fields(
    (
        Field(
            "attempts", Number(0, 20, "this"), "Attempts after the first; 0 for none.", default=2
        ),
        Field(
            "retryOn",
            Items(Choice({each: each for each in RETRIES_ON}), len(RETRIES_ON), 1, "."),
            "What is tried again: Envoy's conditions.",
            "on",
        ),
        Field("statuses", Items(STATUS, 32, 1, "."), "Status codes that are tried again too."),
        Field("perTryTimeout", POSITIVE, "For one attempt.", "per_try"),
        Field(
            "perTryIdleTimeout",
            POSITIVE,
            "Silence after which one attempt is given up.",
            "per_try_idle",
        ),
        Field("backoff", _BACKOFF, "Time between attempts."),
        Field(
            "hedge",
            Flag(),
            "At a per-try timeout send the next attempt, without giving the first one up.",
            default=False,
        ),
    ),
    _retries,
    (
        Rule(
            lambda value: not value.get("hedge") or value.get("perTryTimeout") is not None,
            "!self.hedge || has(self.perTryTimeout)",
            "needs perTryTimeout, at which the next attempt is sent",
            "add perTryTimeout, or remove hedge",
            "hedge",
        ),
    ),
)


def _fault(delay: Mapping[str, Any] | None = None, abort: Mapping[str, Any] | None = None) -> Fault:
    return Fault(**(delay or {}), **(abort or {}))


FAULT = Fields(
    (
        Field(
            "delay",
            Fields(
                (
                    Field(
                        "duration",
                        POSITIVE,
                        "How long.",
                        "delay",
                        required=True,
                        example="duration: 1s",
                    ),
                    Field(
                        "percent", PERCENT, "Share of the requests.", "delay_percent", default=100
                    ),
                ),
                dict,
            ),
            "Hold requests up.",
        ),
        Field(
            "abort",
            Fields(
                (
                    Field(
                        "status",
                        Number(200, 599, "a status code"),
                        "Answer with this status.",
                        "abort",
                    ),
                    Field(
                        "grpcStatus",
                        Number(1, 16, "a gRPC status"),
                        "Answer with this gRPC status.",
                        "grpc_abort",
                    ),
                    Field(
                        "percent", PERCENT, "Share of the requests.", "abort_percent", default=100
                    ),
                ),
                dict,
                (one_of("status", "grpcStatus"),),
            ),
            "Answer in place of the service.",
        ),
    ),
    _fault,
)
BEHAVIOUR = (
    Field("timeouts", TIMEOUTS, "How long requests may take."),
    Field("retries", RETRIES, "What is tried again."),
    Field("fault", FAULT, "Faults on purpose, to see what the application makes of them."),
    Field("requestHeaders", EDITS, "Changes of headers on the way out.", "request"),
    Field("responseHeaders", EDITS, "Changes of headers on the way back.", "response"),
    Field("maxRequestBody", Size(), "Larger bodies of requests are refused (413).", "max_body"),
    Field(
        "decompress",
        Flag(),
        "Ask for compressed answers, and decompress them before the application has them.",
    ),
)
BEHAVIOUR_NAMES = tuple(each.name for each in BEHAVIOUR)
BEHAVIOUR_INTO = tuple(each.into or each.name for each in BEHAVIOUR)


def behaviour(given: Mapping[str, Any]) -> Behaviour:
    """Return the behaviour among what was read."""
    return Behaviour(**{name: given[name] for name in BEHAVIOUR_INTO if name in given})


_COMPARED = {
    "exact": (Text(longest=1024, empty=True), "Equal to this.", Comparison.EXACT),
    "prefix": (Text(longest=1024), "Begins with this.", Comparison.PREFIX),
    "suffix": (Text(longest=1024), "Ends in this.", Comparison.SUFFIX),
    "regex": (Text(REGEX), "All of it matches this (RE2).", Comparison.REGEX),
}


def _condition(given: Mapping[str, Any], comparisons: Mapping[str, Comparison]) -> Condition:
    folds = bool(given.get("ignoreCase"))
    for name, comparison in comparisons.items():
        if name in given:
            return Condition(comparison, str(given[name]), folds)
    return Condition(Comparison.PRESENT)


def _path(**given: Any) -> Condition:
    comparisons = {
        "exact": Comparison.EXACT,
        "prefix": Comparison.PATH_PREFIX,
        "regex": Comparison.REGEX,
    }
    return _condition(given, comparisons)


def _named(name: str, *, invert: bool = False, **given: Any) -> NamedCondition:
    comparisons = {key: found for key, (_, _, found) in _COMPARED.items()}
    return NamedCondition(name, _condition(given, comparisons), invert)


PATH_MATCH = Fields(
    (
        Field("exact", Text(PATH), "The whole path."),
        Field("prefix", Text(PATH), "The path, or what it begins with up to a `/`."),
        Field("regex", Text(REGEX), "All of the path matches this (RE2)."),
        Field("ignoreCase", Flag(), "Upper and lower case are the same."),
    ),
    _path,
    (one_of("exact", "prefix", "regex"),),
)


def _conditions(name: Text, what: str) -> Fields:
    """Return a condition on something with a name; with the name alone, it must be there."""
    compared = tuple(Field(key, schema, doc) for key, (schema, doc, _) in _COMPARED.items())
    return Fields(
        (
            Field(
                "name",
                name,
                f"Name of the {what}; with nothing else it must be there.",
                required=True,
            ),
            *compared,
            Field("ignoreCase", Flag(), "Upper and lower case are the same."),
            Field("invert", Flag(), "The condition must not hold."),
        ),
        _named,
        (one_of(*_COMPARED, least=0),),
    )


HEADER_MATCH = _conditions(Text(HEADER), "header")
QUERY_MATCH = _conditions(Text(longest=128), "query parameter")
METHODS = Items(Text(METHOD), 16, 1, ".")
MATCH = Fields(
    (
        Field("path", PATH_MATCH, "The path, without the query."),
        Field("methods", METHODS, "Any of these methods."),
        Field("headers", Items(HEADER_MATCH, 16, 1), "All of these."),
        Field("query", Items(QUERY_MATCH, 16, 1), "All of these."),
    ),
    Match,
)


def _rewrite(
    path: str | None = None,
    full: str | None = None,
    regex: Mapping[str, str] | None = None,
    host: str = "",
) -> Rewrite:
    whole = full is not None
    return Rewrite(full if whole else path, whole, **(regex or {}), host=host)


REWRITE = Fields(
    (
        Field(
            "path",
            Text(PATH),
            "Replaces what the match found of the path: the prefix, or all of it.",
        ),
        Field("fullPath", Text(PATH), "Replaces all of the path.", "full"),
        Field(
            "regex",
            Fields(
                (
                    Field(
                        "pattern",
                        Text(REGEX),
                        "What of the path is replaced (RE2).",
                        "regex",
                        required=True,
                    ),
                    Field(
                        "substitution",
                        Text(longest=1024, empty=True),
                        "By what; `\\1` is the first group.",
                        required=True,
                    ),
                ),
                dict,
            ),
            "Replaces what a pattern finds in the path.",
        ),
        Field("host", Text(NAME), "The Host that the service sees."),
    ),
    _rewrite,
    (one_of("path", "fullPath", "regex", least=0),),
)
REDIRECT = Fields(
    (
        Field(
            "scheme",
            Choice({"http": "http", "https": "https"}),
            "Scheme; what is left out stays as it was.",
        ),
        Field("host", Text(NAME), "Host."),
        Field("port", PORT, "Port."),
        Field("path", Text(PATH), "All of the path."),
        Field("prefix", Text(PATH), "Replaces the prefix that the match found."),
        Field("status", Number(301, 308, "a redirect"), "301, 302, 303, 307 or 308.", default=302),
    ),
    Redirect,
    (
        one_of("path", "prefix", least=0),
        Rule(
            lambda value: value.get("status", 302) in (301, 302, 303, 307, 308),
            "self.status in [301, 302, 303, 307, 308]",
            "is not a status of a redirect",
            "write 301, 302, 303, 307 or 308",
            "status",
        ),
    ),
)
ANSWER = Fields(
    (
        Field(
            "status",
            Number(200, 599, "a status code"),
            "Its status.",
            required=True,
            example="status: 404",
        ),
        Field("body", Text(longest=4096, empty=True), "Its body.", default=""),
    ),
    Answer,
)


def _reference(given: dict[str, Any]) -> DestinationRef:
    return DestinationRef(
        **{each.name: given.pop(each.name) for each in DESTINATION_FIELDS if each.name in given}
    )


def _backend(**given: Any) -> BackendSpec:
    return BackendSpec(_reference(given), **given)


def _mirror(**given: Any) -> MirrorSpec:
    return MirrorSpec(_reference(given), **given)


BACKEND = Fields(
    (
        *DESTINATION_FIELDS,
        Field("weight", Number(0, 1_000_000, "a weight"), "Its share of the requests.", default=1),
        Field("failover", DESTINATIONS, "Destinations used as it fails, in this order."),
        Field("requestHeaders", EDITS, "Changes of headers on the way to it.", "request"),
        Field("responseHeaders", EDITS, "Changes of headers on the way back from it.", "response"),
    ),
    _backend,
    (one_of("host", "service"),),
)
MIRROR = Fields(
    (*DESTINATION_FIELDS, Field("percent", PERCENT, "Share of the requests.", default=100)),
    _mirror,
    (one_of("host", "service"),),
)


def _rule(**given: Any) -> RuleSpec:
    said = {name: given.pop(name) for name in BEHAVIOUR_INTO if name in given}
    return RuleSpec(**given, behaviour=behaviour(said))


def _total(backends: Iterable[Mapping[str, Any]]) -> int:
    return sum(each.get("weight", 1) for each in backends)


RULE = Fields(
    (
        Field("name", Text(LABEL), "A name for people and logs."),
        Field(
            "matches",
            Items(MATCH, 16, 1),
            "Requests that any of these fits; all if they are left out.",
        ),
        Field("ports", Items(PORT, 16, 1, "."), "Only calls of these ports."),
        Field("rewrite", REWRITE, "Changes of what is asked for."),
        Field("redirect", REDIRECT, "Answer with a redirect."),
        Field("directResponse", ANSWER, "Answer in place of the service.", "answer"),
        Field("backends", Items(BACKEND, 16, 1), "Where requests go instead, each with its share."),
        Field(
            "mirror",
            Items(MIRROR, 4, 1),
            "Where copies of requests go, whose answers nobody waits for.",
            "mirrors",
        ),
        *BEHAVIOUR,
    ),
    _rule,
    (
        one_of("redirect", "directResponse", "backends", least=0),
        Rule(
            lambda value: value.get("backends") is None or _total(value["backends"]) > 0,
            "!has(self.backends) || self.backends.exists(b, b.weight > 0)",
            "all have weight 0, so nothing could be called",
            "give one of them a weight",
            "backends",
        ),
        Rule(
            lambda value: (
                value.get("rewrite") is None
                or (value.get("redirect") is None and value.get("directResponse") is None)
            ),
            "!has(self.rewrite) || (!has(self.redirect) && !has(self.directResponse))",
            "does not go together with redirect and directResponse",
            "remove one of them",
            "rewrite",
        ),
    ),
)
