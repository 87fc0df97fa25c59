"""Web servers that say what they were asked, and that behave as a test wants: HTTP/1.1, WebSocket, TLS.

    GET /...?status=503&delay=0.5&bytes=1000    answers so (`bytes`: the body has that many more)
    GET /ws                                     a WebSocket that sends back what comes; "bye" ends it

`Manners` has the same for all requests to a server, and for some paths only.
"""

import asyncio
import gzip
import json
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any

import brotlicffi
from aiohttp import WSMsgType, web
from tests.outside.loop import Loop, Running
from tests.outside.tls import subject

from outgate.internet.services import Closable, Context


@dataclass
class Manners:
    """How a server answers all requests whose path begins with `path`, until it is told otherwise.

    `statuses` are given one after the other, and then `status`. `delay` is in seconds.
    """

    status: int = 200
    delay: float = 0
    path: str = "/"
    statuses: list[int] = field(default_factory=list)

    def next_status(self) -> int:
        return self.statuses.pop(0) if self.statuses else self.status


class Web:
    """One server, on some sockets of one address."""

    def __init__(self, loop: Loop, context: Context, name: str) -> None:
        self._loop, self._context, self._name = loop, context, name
        self.manners = Manners()
        self._runner: web.ServerRunner | None = None

    def open(self, *listening: tuple[socket.socket, ssl.SSLContext | None]) -> Closable:
        self._loop.run(self._open(listening))
        return Running(lambda: self._loop.run(self._close()))

    async def _open(
        self, listening: tuple[tuple[socket.socket, ssl.SSLContext | None], ...]
    ) -> None:
        self._runner = web.ServerRunner(web.Server(self._serve), shutdown_timeout=0.05)
        await self._runner.setup()
        for each, tls in listening:
            await web.SockSite(self._runner, each, ssl_context=tls).start()

    async def _close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        said = await self._said(request)
        self._context.recorder.add(
            "request",
            server=self._name,
            method=request.method,
            path=request.rel_url.raw_path,
            source=request.remote,
            headers={key.lower(): value for key, value in request.headers.items()},
        )
        if request.path == "/ws":
            return await _websocket(request)
        manners = self.manners if request.path.startswith(self.manners.path) else Manners()
        await asyncio.sleep(float(request.query.get("delay", manners.delay)))
        status = int(request.query.get("status", manners.next_status()))
        return _answer(request, status, said)

    async def _said(self, request: web.BaseRequest) -> dict[str, Any]:
        tls = request.transport.get_extra_info("ssl_object") if request.transport else None
        return {
            "server": self._name,
            "http": f"{request.version.major}.{request.version.minor}",
            "scheme": "https" if tls else "http",
            "method": request.method,
            "host": request.host,
            "path": request.rel_url.raw_path_qs,
            "headers": [[key.lower(), value] for key, value in request.headers.items()],
            "size": 0 if request.path == "/ws" else await _size(request),
            "sni": getattr(tls, "sni", None),
            "subject": subject(tls.getpeercert()) if tls else "",
        }


async def _size(request: web.BaseRequest) -> int:
    # Bodies of any size are taken.
    return sum([len(each) async for each in request.content.iter_any()])


def _answer(request: web.BaseRequest, status: int, said: dict[str, Any]) -> web.Response:
    more = int(request.query.get("bytes", 0))
    body = json.dumps(said | ({"more": "x" * more} if more else {})).encode()
    headers = {"content-type": "application/json", "x-server": said["server"]}
    accepted = request.headers.get("accept-encoding", "")
    for coding, compress in (("br", brotlicffi.compress), ("gzip", gzip.compress)):
        if coding in accepted:
            body, headers["content-encoding"] = compress(body), coding
            break
    return web.Response(status=status, body=body, headers=headers)


async def _websocket(request: web.BaseRequest) -> web.WebSocketResponse:
    # Chosen for a client that offers some, as a browser does.
    talk = web.WebSocketResponse(protocols=("echo",))
    await talk.prepare(request)
    async for each in talk:
        if each.type is WSMsgType.TEXT:
            await talk.send_str(each.data)
            if each.data == "bye":
                break
        elif each.type is WSMsgType.BINARY:
            await talk.send_bytes(each.data)
    await talk.close()
    return talk
