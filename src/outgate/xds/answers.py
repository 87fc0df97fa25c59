"""What a workload is answered that is refused: who may not call what and why, and what to do about it."""

from typing import Any

from outgate.xds.denials import (
    LIMITED,
    NO_CREDENTIAL,
    NOT_COUNTED,
    NOT_DECLARED,
    Caller,
    expression,
)

_DENIED = "response.code_details.startsWith('rbac_access_denied')"


def http_denial(caller: Caller) -> dict[str, Any]:
    """Return the HCM's local reply: where no route matched, 403 with who, what and how to allow it."""
    who = (
        f"outgate: denied: pod {caller.pod} in namespace {caller.namespace} ({caller.identity}) may not call"
        " %REQ(:METHOD)% http://%REQ(:AUTHORITY)%%PATH(NQ)% at %DOWNSTREAM_LOCAL_ADDRESS%:\n"
    )
    body = (
        f"{who}{NOT_DECLARED}.\n"
        "To allow it, declare it with a Service of type ExternalName and call it by that Service's name, or add the"
        " port to the one there is (kubectl apply -f - in a cluster, outgate apply -f - on one machine):\n"
        "  apiVersion: v1\n"
        "  kind: Service\n"
        f"  metadata: {{name: NAME, namespace: {caller.namespace}}}\n"
        "  spec:\n"
        "    type: ExternalName\n"
        "    externalName: HOST\n"
        "    ports: [{port: %DOWNSTREAM_LOCAL_PORT%, name: http}]\n"
        "To go on calling it as it was called, declare its host with an ExternalService instead.\n"
    )
    undeclared = f"{_DENIED} && response.code_details.contains('{NOT_DECLARED.replace(' ', '_')}')"
    return {
        "mappers": [
            _mapper({"response_flag_filter": {"flags": ["NR"]}}, 403, body),
            _mapper(expression(undeclared), 403, body),
            *_by_policy(caller, who),
        ]
    }


def _by_policy(caller: Caller, who: str) -> list[dict[str, Any]]:
    """Return the answers to calls that a rule denies, or stops after all."""
    rule = "%DYNAMIC_METADATA(envoy.filters.http.rbac:policy_enforced_effective_policy_id)%"
    ask = f"outgate explain -n {caller.namespace} {caller.pod} http://%REQ(:AUTHORITY)%%PATH(NQ)% says more.\n"
    limited = " || ".join(f"response.code_details == '{each}'" for each in LIMITED)
    uncounted = " || ".join(f"response.code_details == '{each}'" for each in NOT_COUNTED)
    lacking = f"response.code_details == '{LIMITED[0]}' && response.code == {NO_CREDENTIAL}"
    beyond = f"outgate: more calls than {rule} allows.\n"
    asleep = (
        f"outgate: calls that {rule} allows cannot be counted, or given their credential, now.\n"
    )
    missing = f"outgate: the credential that {rule} puts in is missing, so the call was not made.\n"
    return [
        _mapper(expression(_DENIED), 403, f"{who}%RESPONSE_CODE_DETAILS%\n{ask}"),
        _mapper(expression(lacking), 503, missing),
        _mapper(expression(limited), 429, beyond),
        _mapper(expression(uncounted), 503, asleep),
    ]


def _mapper(which: dict[str, Any], status: int, body: str) -> dict[str, Any]:
    text = {
        "text_format_source": {"inline_string": body},
        "content_type": "text/plain; charset=utf-8",
    }
    return {"filter": which, "status_code": status, "body_format_override": text}
