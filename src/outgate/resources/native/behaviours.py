"""What holds for requests: timeouts, retries, faults, headers and bodies, as one writes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outgate.resources.native.http_forms import HEADER_VALUE, SET_HEADER
from outgate.resources.native.numbers import PERCENT, POSITIVE, STATUS
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
from outgate.traffic.routing import Edits, Fault, Retries, Timeouts

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
_VALUE = Text(HEADER_VALUE, empty=True)


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


def edits(
    put: tuple[Any, ...] = (), add: tuple[Any, ...] = (), remove: tuple[str, ...] = ()
) -> Edits:
    """Return changes of headers."""
    return Edits(put, add, remove)


EDITS = Fields(
    (
        Field(
            "set",
            Pairs(SET_HEADER, _VALUE, 16),
            "Headers to set, whether they are there or not.",
            "put",
        ),
        Field(
            "add",
            Pairs(SET_HEADER, _VALUE, 16),
            "Headers to add to those that are there.",
            "add",
        ),
        Field("remove", Items(Text(SET_HEADER), 16, 0, "."), "Headers to take away."),
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
            "What is tried again, as Envoy names it; if it is left out, what cannot have been acted upon.",
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
