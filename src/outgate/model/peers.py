"""Finds the destinations that a rule leads to among those that were found for it."""

from outgate.model.destinations import External, Peer
from outgate.traffic.references import Target


def find(destination: External, target: Target, port: int) -> Peer | None:
    """Return where a target is, for calls to a port; None where it is not declared, is not HTTP, or may not be seen."""
    wanted = target.port or port
    return next(
        (
            each
            for each in destination.peers
            if each.target == target and each.port.number == wanted and _is_callable(each)
        ),
        None,
    )


def _is_callable(peer: Peer) -> bool:
    # Of a wildcard only the call itself says what is meant.
    return peer.port.is_http and not peer.host.startswith("*.")
