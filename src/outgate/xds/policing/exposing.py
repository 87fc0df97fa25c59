"""Finds credentials that could be read on their way: those of rules for ports of which the egress opens no TLS."""

from collections.abc import Iterator

from outgate.model.assembling import Assembly
from outgate.model.declarations import Source
from outgate.model.destinations import Destination, External
from outgate.resources.problems import Problem, Severity
from outgate.traffic.permitting import Policy, PolicyRule
from outgate.traffic.references import Protocol
from outgate.xds.policing.connections import means

_HINT = "have the egress open TLS: tls: {} on that port; or leave the port out of the rule"


def exposed(assembly: Assembly) -> Iterator[Problem]:
    """Yield a warning for each rule that puts a credential into calls in the clear."""
    for source in assembly.declared:
        yield from exposed_by(assembly, source)


def exposed_by(assembly: Assembly, source: Source) -> Iterator[Problem]:
    """Yield the warnings about one resource."""
    declared = assembly.declared.get(source)
    for policy in declared.policies if declared else ():
        for index, rule in enumerate(policy.rules):
            if rule.credential is not None and (found := _clear(assembly, policy, rule)):
                yield _problem(assembly, source, index, found)


def _problem(assembly: Assembly, source: Source, index: int, found: str) -> Problem:
    place = assembly.declared[source].location
    message = f"goes to {found} in the clear, where anybody on the way can read it"
    path = f"spec.rules[{index}].credential"
    return Problem(place, str(source), path, message, _HINT, Severity.WARNING)


def _clear(assembly: Assembly, policy: Policy, rule: PolicyRule) -> str:
    """Return a port in the clear that a rule is for; empty where there is none."""
    for _, each in sorted(assembly.effective.items()):
        ports = rule.callees and {
            number
            for callee in rule.callees
            if not (callee.name or callee.host) or means(callee, policy.namespace, each)
            for number in callee.ports or (port.number for port in each.ports)
        }
        for number in _clear_ports(each):
            if not rule.callees or number in ports:
                return f"{each.name.name}:{number}"
    return ""


def _clear_ports(destination: Destination) -> Iterator[int]:
    if not isinstance(destination, External):
        return
    for port in destination.ports:
        opened = port.protocol is Protocol.HTTPS or port.upstream.tls is not None
        if port.is_http and not opened:
            yield port.number
