"""Finds the destinations that a rule leads to among those that were found for it."""

from outgate.model.destinations import External, Peer, Port
from outgate.traffic.references import Target


def find(destination: External, target: Target, port: int) -> Peer | None:
    """Return where a target is, for calls to a port; None where it is not declared, is not HTTP, or may not be seen."""
    wanted = target.port or port
    return next(
        (
            each
            for each in destination.peers
            if each.target == target and each.port.number == wanted and each.port.is_http
        ),
        None,
    )


def itself(destination: External, port: Port) -> Peer:
    """Return a destination's own port in the form of one that a rule leads to."""
    target = Target(destination.name.namespace, destination.name.name, port.number)
    return Peer(target, destination.name, destination.host, port)
