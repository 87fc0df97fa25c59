"""The event loop in which the asyncio servers run, in a thread of its own."""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

from dnslib import QTYPE, DNSRecord

from outgate.internet.zone import Zone


class Loop(asyncio.SelectorEventLoop):
    """Resolves names in the small internet's own zone, as a proxy that runs there has to."""

    def __init__(self, zone: Zone) -> None:
        super().__init__()
        self._zone = zone
        threading.Thread(target=self.run_forever, daemon=True).start()

    async def getaddrinfo(self, host: Any, port: Any, **flags: Any) -> Any:
        given = host.decode() if isinstance(host, bytes) else host
        flags["flags"] = flags.get("flags", 0) | socket.AI_NUMERICHOST
        try:
            return socket.getaddrinfo(given, port, **flags)
        except socket.gaierror:
            answer = self._zone.answer(DNSRecord.question(given))
        found = [str(each.rdata) for each in answer.rr if each.rtype == QTYPE.A]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, f"{given}: no such name")
        return [one for each in found for one in socket.getaddrinfo(each, port, **flags)]

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run something there to its end, from another thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self).result(10)

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(coroutine, self)


class Running:
    """A server that runs in a loop."""

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close

    def close(self) -> None:
        self._close()


def bound(address: str, port: int) -> socket.socket:
    """Listen at once, so that whoever connects from now on is served."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=100)
