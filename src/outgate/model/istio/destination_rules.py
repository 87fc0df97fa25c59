"""DestinationRule to tunings: of the ports that it names, and of all others."""

from outgate.model.declarations import Declarations, Source, Tuning
from outgate.model.names import Name
from outgate.resources.istio.destination_rules import DestinationRule
from outgate.traffic.upstream import Upstream


def destination_rule(rule: DestinationRule) -> Declarations:
    """Return what a DestinationRule attaches to its host."""
    meta = rule.metadata
    target, path = Name(rule.host.namespace, rule.host.name), "spec.host"
    tunings = [
        Tuning(target, upstream, ports=(number,), path=path)
        for number, upstream in rule.port_policies
    ]
    others = tuple(number for number, _ in rule.port_policies)
    if rule.policy != Upstream() or not tunings:
        tunings.append(Tuning(target, rule.policy, besides=others, path=path))
    return Declarations(
        Source("DestinationRule", meta.namespace, meta.name),
        rule.location,
        meta.creation_timestamp,
        tunings=tuple(tunings),
    )
