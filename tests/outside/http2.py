"""A web server that speaks HTTP/2 too: without TLS to those who know, over TLS to those who offer it by ALPN."""

import asyncio
import json
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from hypercorn.asyncio import serve
from hypercorn.config import Config
from tests.outside.loop import Loop, Running

from outgate.internet.services import Closable, Context

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _Config(Config):
    """What the library reads from files is here already: sockets, and TLS."""

    def __init__(self, plain: socket.socket, secure: socket.socket, tls: ssl.SSLContext) -> None:
        self.tls = tls
        self.insecure_bind = [f"fd://{plain.detach()}"]
        self.bind = [f"fd://{secure.detach()}"]
        # Only whether they are given is looked at.
        self.certfile = self.keyfile = "given"
        self.graceful_timeout = 0.1
        self.errorlog = None

    def create_ssl_context(self) -> ssl.SSLContext:
        return self.tls


def open_http2(
    loop: Loop,
    context: Context,
    name: str,
    sockets: tuple[socket.socket, socket.socket],
    tls: ssl.SSLContext,
) -> Closable:
    """Serve on a socket without TLS and one with, until closed."""
    done = asyncio.Event()

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _answer(context, name, scope, receive, send)
        elif scope["type"] == "websocket":
            await _echo(scope, receive, send)

    ended = loop.begin(serve(application, _Config(*sockets, tls), shutdown_trigger=done.wait))  # type: ignore[arg-type]

    def close() -> None:
        loop.call_soon_threadsafe(done.set)
        ended.result(10)

    return Running(close)


async def _echo(scope: Message, receive: Receive, send: Send) -> None:
    """Say which version of HTTP the WebSocket came by, as its protocol, and then back whatever comes."""
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.connect":
            version = f"http-{scope['http_version']}"
            chosen = version if version in scope["subprotocols"] else None
            await send({"type": "websocket.accept", "subprotocol": chosen})
        else:
            kept = {key: message.get(key) for key in ("bytes", "text")}
            await send({"type": "websocket.send", **kept})


async def _answer(
    context: Context, name: str, scope: Message, receive: Receive, send: Send
) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    headers = [[key.decode("latin-1"), value.decode("latin-1")] for key, value in scope["headers"]]
    asked = (scope["raw_path"], scope["query_string"])
    path = "?".join(each.decode("latin-1") for each in asked if each)
    said = {
        "server": name,
        "http": scope["http_version"],
        "scheme": scope["scheme"],
        "method": scope["method"],
        "host": dict(headers).get("host", ""),
        "path": path,
        "headers": headers,
        "size": size,
    }
    context.recorder.add(
        "request",
        server=name,
        method=scope["method"],
        path=path,
        source=scope["client"][0],
        headers=dict(headers),
    )
    query = parse_qs(scope["query_string"].decode("latin-1"))
    await asyncio.sleep(float(query.get("delay", ["0"])[0]))
    status = int(query.get("status", ["200"])[0])
    fields = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})
