"""Who asks for configuration, and who may have it: each way in proves identity in its own manner."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from outgate.serve.allowances import EVERYTHING, Allowance
from outgate.serve.publishing import Publisher


@dataclass(frozen=True, slots=True)
class Peer:
    """What is known of a proxy that connects, before it has said anything.

    `identity` is the SPIFFE ID in its verified certificate, `token` the bearer token that it sent; each may be empty.
    `address` is where it calls from. Only on a Unix socket that we alone may open (`local`) it is heard first: `node`
    is what it calls itself, which proves nothing elsewhere.
    """

    node: str = ""
    identity: str = ""
    token: str = field(default="", repr=False)
    address: str = ""
    local: bool = False


@dataclass(frozen=True, slots=True)
class Admitted:
    """What a proxy may follow, and the name by which it is known from now on.

    `node` is what it must call itself, empty: that does not matter. `until` is awaited beside the stream, which ends
    when it returns, for the reason that it returns.
    """

    name: str
    publisher: Publisher
    node: str = ""
    allowance: Allowance = EVERYTHING
    until: Callable[[], Awaitable[str]] | None = None


Admit = Callable[[Peer], AbstractAsyncContextManager[Admitted | None]]
"""Entered when a proxy connects and left when it has gone, mostly by being cancelled; None refuses it.

UnavailableError: it may try again.
"""


def by_name(find: Callable[[str], Publisher | None]) -> Admit:
    """Admit proxies by the name that their certificate has, or on a Unix socket by what they call themselves."""

    @asynccontextmanager
    async def admit(peer: Peer) -> AsyncIterator[Admitted | None]:
        name = peer.node if peer.local else peer.identity
        publisher = find(name) if name else None
        yield Admitted(name, publisher) if publisher else None

    return admit
