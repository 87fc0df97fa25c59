"""How a replica of the controller ends, so that neither a proxy nor the API server misses it.

Kubernetes stops sending newcomers as soon as a pod is to end, but tells so to each node by itself: for a moment they
still come, and are served. Then each proxy's stream is ended, one after another, and comes back to another replica,
where it gets what has changed meanwhile, and a certificate. The webhook answers until the last of them has left.
"""

import asyncio
import logging
import math

from outgate.serve.server import Server

_log = logging.getLogger(__name__)

LINGER_SECONDS = 5.0
"""Nodes hear of a pod's end within a second or two, on a busy cluster too."""
STREAMS_PER_SECOND = 100
"""What another replica takes in beside its other work: a handshake, a TokenReview and a certificate for each."""
SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 15.0
GRACE_SECONDS = math.ceil(LINGER_SECONDS + LONGEST_SECONDS) + 10
"""What a pod needs of `terminationGracePeriodSeconds`."""


def spread(streams: int) -> float:
    """Return within how many seconds that many streams are ended."""
    return min(max(streams / STREAMS_PER_SECOND, SHORTEST_SECONDS), LONGEST_SECONDS)


async def leave(server: Server, taking: asyncio.Event) -> None:
    """Serve newcomers for a moment, then clear `taking`, and hand over the streams that there are."""
    _log.info("stopping: other replicas take over")
    await asyncio.sleep(LINGER_SECONDS)
    taking.clear()
    streams = len(server.status())
    _log.info("handing over %d proxies", streams)
    await server.drain(spread(streams))
