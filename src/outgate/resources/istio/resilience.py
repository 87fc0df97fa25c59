"""Retries and faults of a VirtualService, with Istio's defaults."""

from collections.abc import Mapping
from typing import Any

from outgate.resources.checks import Checker, closest
from outgate.resources.istio.reading import count, percentage, timed, whole
from outgate.resources.paths import child, quote
from outgate.traffic.routing import Fault, Retries

# istio.io/istio/pilot/pkg/networking/core/route/retry: where nobody says. The status 503 is one no more since 1.24.
_ON = ("connect-failure", "refused-stream", "unavailable", "cancelled")
DEFAULT_RETRIES = Retries(attempts=2, on=_ON)
"""What Istio does with every HTTP call outside for which nobody says otherwise."""

# Envoy's documentation of its router filter: x-envoy-retry-on and x-envoy-retry-grpc-on.
_CONDITIONS = (
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
)
# google.rpc.Code.
_GRPC = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)


def parse_retries(check: Checker, route: Mapping[str, Any], path: str) -> Retries | None:
    """Read `retries`; None where nothing is said. Without attempts there are none, as in Istio."""
    value = check.mapping(route, path, "retries")
    if value is None:
        return None
    here = child(path, "retries")
    attempts = count(check, value, here, "attempts") or 0
    on, statuses = _conditions(check, value, here)
    per_try = timed(check, value, here, "perTryTimeout")
    backoff = timed(check, value, here, "backoff")
    if not attempts:
        return Retries(attempts=0)
    return Retries(attempts, on, statuses, per_try=per_try, backoff=backoff)


def _conditions(
    check: Checker, value: Mapping[str, Any], path: str
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    text = check.string(value, path, "retryOn")
    if not text:
        return _ON, ()
    here = child(path, "retryOn")
    parts = [part.strip() for part in text.split(",") if part.strip()]
    statuses = tuple(int(part) for part in parts if _is_status(part))
    on: list[str] = []
    for part in parts:
        if _is_status(part) or part == "retriable-status-codes":
            continue
        if part not in _CONDITIONS:
            meant = closest(part, _CONDITIONS)
            hint = f"did you mean {meant}?" if meant else "for example 5xx,reset"
            message = f"{quote(part)} is neither one of Envoy's conditions nor a status"
            check.error(here, message, hint)
        elif part == "retriable-headers":
            check.warning(here, "retriable-headers has no effect: no headers are named")
        else:
            on.append(part)
    return tuple(on), statuses


def _is_status(text: str) -> bool:
    return len(text) == 3 and text.isdecimal() and text.isascii() and 100 <= int(text) <= 599


def parse_fault(check: Checker, route: Mapping[str, Any], path: str) -> Fault | None:
    """Read `fault`; a part without percentage is done to no request, as in Istio, and said so."""
    value = check.mapping(route, path, "fault")
    if value is None:
        return None
    here = child(path, "fault")
    delay, delay_share = _delay(check, value, here)
    status, grpc, abort_share = _abort(check, value, here)
    if not delay_share:
        delay = None
    if not abort_share:
        status = grpc = None
    if delay is None and status is None and grpc is None:
        return None
    return Fault(
        delay=delay,
        delay_percent=delay_share or 100.0,
        abort=status,
        grpc_abort=grpc,
        abort_percent=abort_share or 100.0,
    )


def _delay(
    check: Checker, fault: Mapping[str, Any], path: str
) -> tuple[float | None, float | None]:
    value = check.mapping(fault, path, "delay")
    if value is None:
        return None, None
    here = child(path, "delay")
    delay = timed(check, value, here, "fixedDelay")
    if value.get("fixedDelay") is None:
        check.error(child(here, "fixedDelay"), "is required", "for example 5s")
    older = percentage(check, value, here, "percent")
    return delay, _share(check, value, here, older)


def _abort(
    check: Checker, fault: Mapping[str, Any], path: str
) -> tuple[int | None, int | None, float | None]:
    value = check.mapping(fault, path, "abort")
    if value is None:
        return None, None, None
    here = child(path, "abort")
    status = whole(check, value, here, "httpStatus", (200, 599))
    grpc = _grpc(check, value, here)
    if value.get("httpStatus") is None and not value.get("grpcStatus"):
        check.error(here, "must say what is answered", "for example httpStatus: 503")
    if status is not None and grpc is not None:
        check.error(here, "both httpStatus and grpcStatus are there", "remove one of the two")
    return status, grpc, _share(check, value, here, None)


def _share(
    check: Checker, value: Mapping[str, Any], path: str, older: float | None
) -> float | None:
    share = check.mapping(value, path, "percentage")
    if share is not None:
        return percentage(check, share, child(path, "percentage"), "value") or 0.0
    if older is None:
        message = "without it the fault is done to no request"
        check.warning(child(path, "percentage"), message, "for example {value: 100}")
    return older


def _grpc(check: Checker, value: Mapping[str, Any], path: str) -> int | None:
    text = check.string(value, path, "grpcStatus")
    if not text:
        return None
    if text.upper() in _GRPC:
        return _GRPC.index(text.upper())
    if text.isdecimal() and text.isascii() and len(text) < 3 and int(text) < len(_GRPC):
        return int(text)
    check.error(child(path, "grpcStatus"), f"{quote(text)} is no status: write {', '.join(_GRPC)}")
    return None
