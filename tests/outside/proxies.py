"""Forward proxies, as companies have: HTTP (CONNECT, and whole URLs) and SOCKS5.

What passes is recorded as "proxied".
"""

import asyncio

import pproxy
from tests.outside.loop import Loop, Running

from outgate.internet.services import Closable, Context


def open_proxy(loop: Loop, context: Context, name: str, scheme: str, address: str) -> Closable:
    """Serve at `address`, HOST:PORT, as pproxy calls `scheme`: http or socks5."""
    said = {
        # No other proxy behind it.
        "rserver": [pproxy.Connection("direct")],
        "verbose": lambda text: context.recorder.add("proxied", server=name, text=text),
    }

    async def start() -> asyncio.Server:
        made: asyncio.Server = await pproxy.Server(f"{scheme}://{address}").start_server(said)
        return made

    server = loop.run(start())

    async def close() -> None:
        server.close()

    return Running(lambda: loop.run(close()))
