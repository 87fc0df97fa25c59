"""Says what policies decide on a call, and which rule it is."""

from collections.abc import Iterable
from typing import Any

from outgate.model.destinations import Destination, Port
from outgate.model.policies import NO_POLICY, Call, Decision, evaluate
from outgate.model.workloads import Workload
from outgate.traffic.permitting import Policy
from outgate.xds.explaining import DENIED, Judge, Target
from outgate.xds.policing.facts import host, source


def judge(policies: Iterable[Policy], caller: Workload) -> Judge:
    """Return what judges calls by a pod; `policies` are those of its namespace. HTTP calls are taken as GET."""
    own = tuple(policies)

    def judged(found: Destination, port: Port, called: Target) -> dict[str, Any]:
        name = host(found)
        asked = called.host if name.startswith("*.") else name
        call = Call(
            found.name.namespace,
            source(found),
            asked,
            port.number,
            port.is_http,
            path=called.path,
            elsewhere=_is_elsewhere(found, port),
        )
        return _said(evaluate(own, caller, call), is_http=port.is_http)

    return judged


def _is_elsewhere(found: Destination, port: Port) -> bool:
    rules = getattr(found, "rules", ())
    of_port = (each for each in rules if not each.ports or port.number in each.ports)
    return any(each.backends or each.mirrors for each in of_port)


def _said(decided: Decision, *, is_http: bool) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if decided.by != NO_POLICY:
        what = " (for GET)" if is_http else ""
        said["policy"] = f"{'allowed' if decided.allowed else 'denied'} by {decided.by}{what}"
        if not decided.allowed:
            said |= {"decision": DENIED, "reason": decided.by}
    if decided.ruling is not None and decided.allowed and decided.ruling.rule.credential:
        # Which, and never what is in it.
        said["credential"] = f"header {decided.ruling.rule.credential.header}"
    if decided.audit:
        said["audit"] = f"would be {decided.audit}"
    return said
