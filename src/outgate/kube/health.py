"""Answers the kubelet: alive while the loop turns, ready once everything was read and until newcomers are refused.

A pod that is to end gets newcomers only where no other is ready, whatever it says here; it must not be called unready
earlier, so that the one of a single replica goes on being asked until its successor is there.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from outgate.kube import naming


@dataclass(frozen=True, slots=True)
class Health:
    """`complete` is set as long as proxies are let in."""

    complete: asyncio.Event
    port: int = naming.HEALTH_PORT

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Answer on every address for the time of a `with` block."""
        application = web.Application()
        application.router.add_get("/healthz", self._alive)
        application.router.add_get("/readyz", self._ready)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, None, self.port).start()
            yield
        finally:
            await runner.cleanup()

    async def _alive(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, _: web.Request) -> web.Response:
        if self.complete.is_set():
            return web.Response(text="ok\n")
        return web.Response(text="not everything was read yet, or it stops\n", status=503)
