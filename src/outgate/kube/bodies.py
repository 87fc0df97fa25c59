"""Reads what the webhook is sent, by anybody who can reach it, with bounds to the memory and time that it may take."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from outgate.errors import UnavailableError

MOST_BYTES = 4 << 20
"""Of a request: etcd takes objects of up to 1.5 MiB, and JSON is longer than what it keeps."""
MOST_PARTS = 100_000
"""Objects and lists in it, counted by brackets: while Python reads JSON, all threads stand still."""
OF_EACH_BYTES, IN_ALL_BYTES = 32 << 20, 256 << 20
"""That may wait to be worked on: of one caller, and of all."""
SECONDS = 8.0
"""For a whole request; the API server waits for ten."""


@dataclass(slots=True, eq=False)
class Bodies:
    """The bytes that are held at present, by caller; used from one event loop only."""

    held: Counter[str] = field(default_factory=Counter)
    total: int = 0

    @asynccontextmanager
    async def body(self, request: web.Request, caller: str) -> AsyncIterator[bytes]:
        """Read a body, and hold it for the time of a `with` block.

        HTTPRequestEntityTooLarge or HTTPRequestTimeout; UnavailableError if too much is held already.
        """
        found, parts = bytearray(), 0
        try:
            try:
                async with asyncio.timeout(SECONDS):
                    async for chunk in request.content.iter_any():
                        self._hold(caller, len(chunk))
                        found += chunk
                        parts += chunk.count(b"[") + chunk.count(b"{")
                        if len(found) > MOST_BYTES or parts > MOST_PARTS:
                            raise _too_large()
            except TimeoutError as error:
                raise web.HTTPRequestTimeout from error
            yield bytes(found)
        finally:
            self._let_go(caller, len(found))

    def _hold(self, caller: str, size: int) -> None:
        if self.held[caller] + size > OF_EACH_BYTES or self.total + size > IN_ALL_BYTES:
            raise UnavailableError("too much waits to be worked on: try again")
        self.held[caller] += size
        self.total += size

    def _let_go(self, caller: str, size: int) -> None:
        self.held[caller] -= size
        self.total -= size
        if not self.held[caller]:
            del self.held[caller]


def _too_large() -> web.HTTPException:
    text = f"a review has at most {MOST_BYTES} bytes, and {MOST_PARTS} objects and lists\n"
    return web.HTTPRequestEntityTooLarge(MOST_BYTES, MOST_BYTES, text=text)
