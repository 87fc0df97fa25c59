"""Finds rules of policies that are about resources which are not there, as a misspelt Deny denies nothing."""

from collections.abc import Iterator

from outgate.model.assembling import Assembly
from outgate.model.declarations import Source
from outgate.resources.problems import Problem, Severity
from outgate.traffic.permitting import Policy

_HINT = "until there is one, this is about no call"


def pointless(assembly: Assembly) -> Iterator[Problem]:
    """Yield a warning for each resource that a rule names, and that is not there."""
    for source, declared in assembly.declared.items():
        for policy in declared.policies:
            for path, meant in _named(policy):
                if meant not in assembly.declared:
                    message = (
                        f"there is no {meant.kind} {meant.name} in namespace {meant.namespace}"
                    )
                    yield Problem(
                        declared.location, str(source), path, message, _HINT, Severity.WARNING
                    )


def _named(policy: Policy) -> Iterator[tuple[str, Source]]:
    for index, rule in enumerate(policy.rules):
        for place, callee in enumerate(rule.callees):
            if callee.name:
                meant = Source(callee.kind, callee.namespace or policy.namespace, callee.name)
                yield f"spec.rules[{index}].to[{place}]", meant
