"""Who asks for configuration, and who may have it: each way in proves identity in its own manner."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from outgate.serve.publishing import Publisher


@dataclass(frozen=True, slots=True)
class Peer:
    """What is known of a proxy that connects.

    `node` is what it calls itself, which proves nothing but on a Unix socket that only we may open (`local`).
    `identity` is the SPIFFE ID in its verified certificate, `token` the bearer token that it sent; each may be empty.
    """

    node: str
    identity: str = ""
    token: str = field(default="", repr=False)
    local: bool = False


@dataclass(frozen=True, slots=True)
class Admitted:
    """What a proxy may follow, and the name by which it is known from now on."""

    name: str
    publisher: Publisher


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
