"""What a workload is told when it is refused, and what the egress log says of each call: one wording for all paths.

Denied calls and allowed ones leave the same JSON line, so that one query finds both.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outgate.model.workloads import Workload
from outgate.xds import naming
from outgate.xds.building import typed

NOT_DECLARED = "no resource declares this name and port for this namespace"
NOT_DECLARED_TLS = (
    "no resource declares TLS of the workload itself for this server name and port, which takes protocol TLS;"
    " where a port is https, call it as http://NAME:PORT"
)
NO_SERVER_NAME = (
    "TLS without a server name cannot be told apart: have the client send it (SNI),"
    " or declare the port as plain TCP"
)
NOT_DECLARED_TCP = "no resource declares this address and port"
NO_RULE = "no rule matches this request"
NO_BACKEND = "the rule leads only to what is not declared, or may not be called from here"
OWN = "this name has an address of its own, not that of the wildcard above it: look it up anew"
ALLOWED, DECLARED, REFUSED = "allowed", "declared", "denied"
"""Metadata and name of each route, for the log: both are short, as there are many."""
DENIED = {"decision": "denied", "reason": NOT_DECLARED}
"""Metadata of listeners, for where no route was found."""
NOT_HTTP = "this port is declared for HTTP or TLS, and this is neither"
NOT_PASSED_ON = (
    "no such request is passed on, for its path, its Host, or an upgrade to other than a WebSocket"
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as Envoy format strings: fixed text in a workload's own listener, filter state behind a tunnel."""

    namespace: str
    identity: str
    pod: str

    @property
    def fixed(self) -> str:
        """The namespace that all callers are in; empty where it is known by each connection only."""
        return "" if "%" in self.namespace else self.namespace


def _state(key: str) -> str:
    return f"%FILTER_STATE({key}:PLAIN)%"


TUNNELLED = Caller(
    _state(naming.STATE_NAMESPACE), _state(naming.STATE_IDENTITY), _state(naming.STATE_POD)
)


def caller_of(workload: Workload, trust_domain: str) -> Caller:
    """Return the caller behind a workload's own listener: names cannot contain `%`, so they need no escape."""
    return Caller(workload.name.namespace, workload.identity(trust_domain), workload.name.name)


# Unset where no cluster was found.
_FOUND = "has(xds.cluster_name) && xds.cluster_name != ''"


_DESTINATION = {
    key: f"%CLUSTER_METADATA({naming.METADATA}:{key})%" for key in ("service", "resource")
}


def _log(
    path: str, fields: dict[str, str], only: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Return an access log, of what the filter `only` lets pass."""
    config = typed(
        "extensions.access_loggers.file.v3.FileAccessLog",
        path=path,
        log_format={"json_format": fields},
    )
    log = {"name": "envoy.access_loggers.file", "typed_config": config}
    return [log | ({"filter": only} if only else {})]


def _common(caller: Caller, protocol: str) -> dict[str, str]:
    return {
        "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
        "pod": caller.pod,
        "namespace": caller.namespace,
        "identity": caller.identity,
        "protocol": protocol,
        "address": "%DOWNSTREAM_LOCAL_ADDRESS%",
        "flags": "%RESPONSE_FLAGS%",
        "upstream": "%UPSTREAM_HOST%",
        "upstream_failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
        "bytes_received": "%BYTES_RECEIVED%",
        "bytes_sent": "%BYTES_SENT%",
        "duration_ms": "%DURATION%",
    }


def http_log(path: str, caller: Caller) -> list[dict[str, Any]]:
    """Return the access logs of HTTP calls; the query is left out, as it may hold secrets.

    The decision is read from the route that was found, or else from the listener: an expression takes a twentieth of
    the whole call's time. What cannot be read as HTTP has no method, and is known by that.
    """
    call = _common(caller, "http") | {
        "destination": "%REQ(:AUTHORITY)%",
        "service": f"%METADATA(ROUTE:{naming.METADATA}:service)%",
        "resource": f"%METADATA(ROUTE:{naming.METADATA}:resource)%",
        "rule": f"%METADATA(ROUTE:{naming.METADATA}:rule)%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ)%",
        "status": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
    }
    rule = _ruled("policy_enforced_effective_policy_id")
    reason = _first(rule, {"command": "ROUTE_NAME"}, _metadata("LISTENER", "reason"))
    decided = {
        "decision": _first(
            _ruled("policy_enforced_engine_result"),
            _metadata("ROUTE", "decision"),
            _metadata("LISTENER", "decision"),
        ),
        "reason": reason,
        "audit": _first(_ruled("audit_shadow_effective_policy_id")),
    }
    stopped = decided | {"decision": "denied"}
    unfit = {"destination": _first(_HOST, _ADDRESS), "decision": "denied", "reason": NOT_PASSED_ON}
    refused = {
        "destination": "%DOWNSTREAM_LOCAL_ADDRESS%",
        "decision": "denied",
        "reason": NOT_HTTP,
    }
    is_call = _has_method(present=True)
    # Most calls are told from those that Envoy ended by one number, without an expression.
    went = _every(_status("LE", 399), _is_grpc(inverted=True))
    suspect = _any(_status("GE", 400), _is_grpc())
    return [
        *_log(path, call | decided, _every(is_call, _any(went, _neither(_BY_RULE, _BY_ENVOY)))),
        *_log(path, call | stopped, _every(suspect, is_call, _ended(_BY_RULE))),
        *_log(path, call | unfit, _every(suspect, is_call, _ended(_BY_ENVOY))),
        *_log(path, call | refused, _has_method(present=False)),
    ]


def _ruled(key: str) -> dict[str, str]:
    """Return what the filter for policies wrote (`policing`)."""
    return {"command": "DYNAMIC_METADATA", "param": f"envoy.filters.http.rbac:{key}"}


LIMITED = ("ext_authz_denied", "request_rate_limited")
"""Details of answers to calls beyond a limit; the first also where there is no credential, with `NO_CREDENTIAL`."""
NOT_COUNTED = ("ext_authz_error", "rate_limiter_error")
NO_CREDENTIAL = 401


_BY_RULE = (*LIMITED, *NOT_COUNTED)
"""Details of answers where a rule that allows a call stopped it after all."""
_BY_ENVOY = (
    "upgrade_failed",
    "path_normalization_failed",
    "absolute_path_rejected",
    "missing_path_rejected",
    "missing_host_header",
)
"""Details where it was refused for what it is, before anything was looked up or decided."""


def _ended(details: tuple[str, ...]) -> dict[str, Any]:
    """Return whether a call ended so: an expression, which takes a twentieth of a call's time."""
    return expression(f"response.code_details in {list(details)}")


def _neither(*several: tuple[str, ...]) -> dict[str, Any]:
    return expression(f"!(response.code_details in {[each for one in several for each in one]})")


def _is_grpc(*, inverted: bool = False) -> dict[str, Any]:
    """Return whether Envoy answers by gRPC: its own denials are then of status 200, too."""
    prefix = {"prefix": "application/grpc"}
    header = {"name": "content-type", "string_match": prefix, "invert_match": inverted}
    return {"header_filter": {"header": header | {"treat_missing_header_as_empty": True}}}


def _status(operator: str, status: int) -> dict[str, Any]:
    value = {"default_value": status, "runtime_key": "outgate.none"}
    return {"status_code_filter": {"comparison": {"op": operator, "value": value}}}


def expression(expression: str) -> dict[str, Any]:
    config = typed(
        "extensions.access_loggers.filters.cel.v3.ExpressionFilter", expression=expression
    )
    return {"extension_filter": {"name": "cel", "typed_config": config}}


def _every(*filters: dict[str, Any]) -> dict[str, Any]:
    return {"and_filter": {"filters": list(filters)}}


def _any(*filters: dict[str, Any]) -> dict[str, Any]:
    return {"or_filter": {"filters": list(filters)}}


_HOST = {"command": "REQ", "param": ":AUTHORITY"}
_ADDRESS = {"command": "DOWNSTREAM_LOCAL_ADDRESS"}


def _metadata(kind: str, key: str) -> dict[str, str]:
    return {"command": "METADATA", "param": f"{kind}:{naming.METADATA}:{key}"}


def _first(*operators: Mapping[str, str]) -> str:
    """Return the format of the first of several values that there is."""
    return f"%COALESCE({json.dumps({'operators': operators})})%"


def _has_method(*, present: bool) -> dict[str, Any]:
    return {"header_filter": {"header": {"name": ":method", "present_match": present}}}


def connection_log(path: str, caller: Caller) -> list[dict[str, Any]]:
    """Return the access log of plain TCP connections; a missing cluster is a denial.

    What only goes on into an inner listener (`clusters.alias`) is logged there.
    """
    ours = (f"{each}/" for each in (naming.LATE, naming.ADDRESS, naming.ADDRESS_LATE))
    inner = (f"'envoy://{each}'" for each in (naming.WILD, *ours))
    begins = " || ".join(f"upstream.address.startsWith({each})" for each in inner)
    late = f"has(upstream.address) && ({begins})"
    return _log(
        path,
        _common(caller, "tcp")
        | {
            "destination": "%DOWNSTREAM_LOCAL_ADDRESS%",
            **_decided(f"b'{NOT_DECLARED_TCP}'"),
            **_DESTINATION,
        },
        expression(f"!({late})"),
    )


def _decided(unknown: str) -> dict[str, str]:
    """Return what is logged of a decision on a connection; `unknown` is an expression, for where no cluster is.

    A cluster that is denied is one that is there, without endpoints.
    """
    found = f"({_FOUND} && xds.cluster_name != '{naming.DENY}')"
    denied, allowed = (
        f"filter_state['{key}']" for key in (naming.STATE_DENIED, naming.STATE_ALLOWED)
    )
    ruled = f"('{naming.STATE_DENIED}' in filter_state)"
    by = f"({ruled} ? ({denied} == b'declared' ? {allowed} : {denied}) : b'declared')"
    return {
        "decision": f"%CEL({found} ? 'allowed' : 'denied')%",
        "reason": f"%CEL({found} || ({ruled} && {denied} != b'declared') ? {by} : {unknown})%",
        "audit": f"%FILTER_STATE({naming.STATE_AUDIT}:PLAIN)%",
    }


def tls_log(path: str, caller: Caller) -> list[dict[str, Any]]:
    """Return the access log of TLS that is passed through: found by its server name, or denied."""
    unknown = (
        f"(connection.requested_server_name == '' ? b'{NO_SERVER_NAME}' : b'{NOT_DECLARED_TLS}')"
    )
    return _log(
        path,
        _common(caller, "tls")
        | {
            "destination": "%DOWNSTREAM_LOCAL_ADDRESS%",
            "server_name": "%REQUESTED_SERVER_NAME%",
            **_decided(unknown),
            **_DESTINATION,
        },
    )


def wildcard_refusal(host: str) -> str:
    """Return why a connection to a wildcard's address is denied that does not ask for a name below it."""
    return (
        f"this port of {host} takes the names below it only: where its protocol is TLS, as TLS with that server name;"
        " elsewhere as plain HTTP, http://NAME:PORT"
    )


def refusal_log(path: str, caller: Caller, protocol: str, reason: str) -> list[dict[str, Any]]:
    """Return the access log of connections that lead nowhere, whatever they are for."""
    fields = _common(caller, protocol) | {
        "destination": "%DOWNSTREAM_LOCAL_ADDRESS%",
        "decision": "denied",
        "reason": reason,
    }
    return _log(path, fields | {"server_name": "%REQUESTED_SERVER_NAME%"})


def refusal(reason: str) -> dict[str, Any]:
    """Return the body of an answer to a call that is declared and yet leads nowhere."""
    where = "http://%REQ(:AUTHORITY)%%PATH(NQ)%"
    by = f"%METADATA(ROUTE:{naming.METADATA}:resource)%"
    body = f"outgate: %REQ(:METHOD)% {where} is declared by {by}, but {reason}.\n"
    return {
        "text_format_source": {"inline_string": body},
        "content_type": "text/plain; charset=utf-8",
    }
