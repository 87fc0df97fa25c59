"""TLS of the servers: certificates of the small internet's authority, chosen by the name that is asked for."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Sequence
from typing import Any

from tests.outside.loop import Loop, Running

from outgate.internet.certificates import CA_FILE
from outgate.internet.plan import Certificate
from outgate.internet.services import Closable, Context

_ALL = 65536


def server_context(
    context: Context,
    server: str,
    hosts: Sequence[str],
    *,
    alpn: Sequence[str] = (),
    client_certificates: bool = False,
) -> ssl.SSLContext:
    """Return a context that shows the certificate of the first of `hosts`, or of that which is asked for.

    A host that begins with "!" gets a certificate for another name. Each name asked for is recorded,
    and in the attribute `sni` of the connection.
    """
    made = {host.lstrip("!"): _one(context, host, alpn, client_certificates) for host in hosts}
    first = next(iter(made.values()))

    def named(connection: Any, name: str | None, _context: ssl.SSLContext) -> None:
        context.recorder.add("tls", server=server, sni=name)
        connection.sni = name
        if name in made:
            connection.context = made[name]

    first.sni_callback = named
    return first


def _one(
    context: Context, host: str, alpn: Sequence[str], client_certificates: bool
) -> ssl.SSLContext:
    kind = Certificate.WRONG_NAME if host.startswith("!") else Certificate.TRUSTED
    pair = context.authority.issue(host.lstrip("!"), kind)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    if alpn:
        tls.set_alpn_protocols(list(alpn))
    if client_certificates:
        tls.load_verify_locations(pair.certificate.parent / CA_FILE)
        tls.verify_mode = ssl.CERT_REQUIRED
    return tls


def subject(certificate: Any) -> str:
    """Return the common name of a peer's certificate, as ssl gives it."""
    fields = (pair for names in (certificate or {}).get("subject", ()) for pair in names)
    return next((value for key, value in fields if key == "commonName"), "")


def echo(
    loop: Loop,
    context: Context,
    server: str,
    listening: socket.socket,
    tls: ssl.SSLContext,
    greeting: bytes | None,
) -> Closable:
    """Greet, within TLS, and send back whatever comes; None: the greeting says whose certificate came."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source, who = (
            writer.get_extra_info("peername")[0],
            subject(writer.get_extra_info("peercert")),
        )
        context.recorder.add("connection", server=server, source=source, subject=who)
        writer.write(f"{who}\r\n".encode() if greeting is None else greeting)
        with contextlib.suppress(OSError):
            while data := await reader.read(_ALL):
                writer.write(data)
                await writer.drain()
        writer.close()

    made = loop.run(asyncio.start_server(serve, sock=listening, ssl=tls))

    async def close() -> None:
        made.close()

    return Running(lambda: loop.run(close()))
