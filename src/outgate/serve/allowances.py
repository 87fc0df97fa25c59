"""How much a proxy may ask for: each kind has bounds, as what it subscribes to is memory and work of ours.

Without I/O. Names are bounded after a message was taken in: the message itself is bounded before that.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from outgate.serve.stream import CLUSTER, LISTENER, ORDER, SECRET, Stream
from outgate.serve.subscription import Request

_SPARE, _PER_RESPONSE = 64, 4
"""Requests that answer nothing, and those that each response may bring along."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """The bounds of one stream.

    `types` are those that may be asked for, `names` how many of each; `message_bytes` bounds a message, `name_bytes` a
    name. With `paced`, requests may not outnumber what our responses give reason for.
    """

    types: frozenset[str] = frozenset(ORDER)
    names: int = 100_000
    name_bytes: int = 4096
    message_bytes: int = 4 << 20
    paced: bool = False

    def excess(self, type_url: str, size: int, request: Request) -> str:
        """Say how a request of `size` bytes goes beyond the bounds; empty: it does not."""
        if size > self.message_bytes:
            return f"a message of {size} bytes, more than {self.message_bytes}"
        if type_url in ORDER and type_url not in self.types:
            return f"{_short(type_url)} is not for it"
        longest = max(map(len, _names(request)), default=0)
        if longest > self.name_bytes:
            return f"a name of {longest} characters, more than {self.name_bytes}"
        return ""

    def overrun(self, stream: Stream, requests: int) -> str:
        """Say how what a stream has asked for so far, in that many requests, goes beyond them; empty: it does not."""
        for type_url, subscription in stream.subscriptions.items():
            if subscription.held > self.names:
                return f"more than {self.names} names of {_short(type_url)}"
        if self.paced and requests > _SPARE + _PER_RESPONSE * stream.responses:
            return f"{requests} requests, to which {stream.responses} responses gave no reason"
        return ""


EVERYTHING = Allowance()
"""For the egress, which asks for each service by name: far more than there are."""
SIDECAR = Allowance(
    frozenset((SECRET, CLUSTER, LISTENER)),
    names=64,
    name_bytes=512,
    # An Envoy's first message lists its extensions: about 70 kB.
    message_bytes=512 << 10,
    paced=True,
)
"""For a sidecar: all that it gets are a few resources."""


def _names(request: Request) -> Iterable[str]:
    yield from request.subscribe
    yield from request.unsubscribe
    yield from request.initial_versions
    yield from request.initial_versions.values()


def _short(type_url: str) -> str:
    return type_url.rpartition(".")[2]
