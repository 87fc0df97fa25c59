"""The servers of the small internet, each bound when made, and closed by `close`."""

import html
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server as WsgiServer
from dnslib import QTYPE, DNSRecord
from dnslib.server import DNSLogger, DNSServer
from httpbin import app as httpbin

from outgate.internet import plan
from outgate.internet.canary import Recorder
from outgate.internet.certificates import Authority
from outgate.internet.zone import Zone

# Each connection that is new or busy holds one.
_WORKERS = 24
_POLL_SECONDS = 0.05
_IDLE_SECONDS = 30
_BANNER = b"220 banner.test ready\r\n"
_CHUNK = 65536

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class Closable(Protocol):
    """A server that runs, in threads of its own."""

    def close(self) -> None:
        """Refuse connections from now on."""


@dataclass(frozen=True, slots=True)
class Context:
    """What servers share."""

    recorder: Recorder
    zone: Zone
    authority: Authority


@dataclass(frozen=True, slots=True)
class Extension:
    """Servers that a module adds, by name, and commands of its own; see `SmallInternet.load`."""

    servers: Mapping[str, Callable[[], tuple[Closable, ...]]]
    commands: Mapping[str, Callable[[Mapping[str, Any]], None]]


def open_server(server: plan.Server, context: Context) -> tuple[Closable, ...]:
    """Start `server` at each of its addresses; OSError if one is not free."""
    opened: list[Closable] = []
    try:
        for address in server.addresses:
            opened.extend(_open(server, (address, server.port), context))
    except BaseException:
        for one in opened:
            one.close()
        raise
    return tuple(opened)


def _open(server: plan.Server, address: tuple[str, int], context: Context) -> tuple[Closable, ...]:
    match server.protocol:
        case plan.Protocol.DNS:
            return _Dns(address, context, tcp=False), _Dns(address, context, tcp=True)
        case plan.Protocol.HTTPBIN:
            return (_Web(server, address, httpbin, context),)
        case plan.Protocol.PAGE:
            return (_Web(server, address, _page, context),)
        case plan.Protocol.TCP_ECHO:
            return (_Tcp(server, address, b"", context),)
        case plan.Protocol.TCP_BANNER:
            return (_Tcp(server, address, _BANNER, context),)
        case plan.Protocol.UDP_ECHO:
            return (_Udp(server, address, context),)


class _Dns:
    """The library's server around a zone."""

    def __init__(self, address: tuple[str, int], context: Context, *, tcp: bool) -> None:
        self._context = context
        quiet = DNSLogger(log="error", logf=lambda _line: None)
        self._server = DNSServer(self, *address, tcp=tcp, logger=quiet).server
        _serve(self._server)

    def resolve(self, request: DNSRecord, handler: Any) -> DNSRecord:
        """Record the question and answer it; the name is the library's."""
        self._context.recorder.add(
            "query",
            name=str(request.q.qname).rstrip("."),
            type=QTYPE[request.q.qtype],
            source=handler.client_address[0],
            transport=handler.protocol,
        )
        return self._context.zone.answer(request)

    def close(self) -> None:
        _stop(self._server)


class _Tls(BuiltinSSLAdapter):
    """Shakes hands in the thread that serves the connection.

    The library does it in the one that accepts: a client that says nothing, as some in tests do,
    would keep out all others.
    """

    def wrap(self, sock: socket.socket) -> tuple[ssl.SSLSocket, Environ]:
        environment: Environ = {"HTTPS": "on", "wsgi.url_scheme": "https"}
        tls = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        # The name is put in when it is known; the library reads this for each request.
        tls.environment = environment
        return tls, environment


class _Web:
    """A WSGI application behind cheroot, with TLS if the plan says so."""

    def __init__(
        self,
        server: plan.Server,
        address: tuple[str, int],
        application: Application,
        context: Context,
    ) -> None:
        self._name = server.name
        self._recorder = context.recorder
        self._application = application
        self._server = WsgiServer(
            address, self._answer, numthreads=_WORKERS, timeout=_IDLE_SECONDS, shutdown_timeout=1
        )
        # Failed handshakes are what some tests are about; they need no stack trace.
        self._server.error_log = lambda *_args, **_kwargs: None  # type: ignore[method-assign]
        if server.certificate is not None:
            pair = context.authority.issue(server.host, server.certificate)
            adapter = _Tls(str(pair.certificate), str(pair.key))
            adapter.context.set_alpn_protocols(["http/1.1"])
            adapter.context.sni_callback = self._named
            self._server.ssl_adapter = adapter
        self._server.prepare()
        threading.Thread(target=self._server.serve, daemon=True).start()

    def close(self) -> None:
        self._server.stop()

    def _named(self, connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        self._recorder.add("tls", server=self._name, sni=name)
        connection.environment["SSL_TLS_SNI"] = name  # type: ignore[attr-defined]

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        self._recorder.add(
            "request",
            server=self._name,
            method=environ["REQUEST_METHOD"],
            path=environ["PATH_INFO"],
            source=environ["REMOTE_ADDR"],
            headers={
                key[5:].replace("_", "-").lower(): value
                for key, value in environ.items()
                if key.startswith("HTTP_")
            },
        )
        return self._application(environ, start_response)


def _page(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    host = environ.get("HTTP_HOST", "")
    sni = environ.get("SSL_TLS_SNI") or ""
    lines = ("<!doctype html>", "<title>google</title>", f"host: {host}", f"sni: {sni}", "")
    body = "\n".join((*lines[:2], *map(html.escape, lines[2:]))).encode()
    headers = [("content-type", "text/html"), ("content-length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


class _Tcp:
    """Sends a greeting, if there is one, and then back whatever comes."""

    def __init__(
        self, server: plan.Server, address: tuple[str, int], greeting: bytes, context: Context
    ) -> None:
        recorder, name = context.recorder, server.name

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                recorder.add("connection", server=name, source=self.client_address[0])
                self.request.sendall(greeting)
                try:
                    while data := self.request.recv(_CHUNK):
                        self.request.sendall(data)
                except ConnectionError:
                    pass  # However it ends, it ends.

        self._server = _bind(socketserver.ThreadingTCPServer, address, Handler)

    def close(self) -> None:
        _stop(self._server)


class _Udp:
    """Sends each datagram back."""

    def __init__(self, server: plan.Server, address: tuple[str, int], context: Context) -> None:
        recorder, name = context.recorder, server.name

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, connection = self.request
                recorder.add("datagram", server=name, source=self.client_address[0])
                connection.sendto(data, self.client_address)

        self._server = _bind(socketserver.ThreadingUDPServer, address, Handler)

    def close(self) -> None:
        _stop(self._server)


def _bind(
    base: type[socketserver.BaseServer],
    address: tuple[str, int],
    handler: type[socketserver.BaseRequestHandler],
) -> socketserver.BaseServer:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    options = {"address_family": family, "allow_reuse_address": True, "daemon_threads": True}
    server: socketserver.BaseServer = type(base.__name__, (base,), options)(address, handler)
    _serve(server)
    return server


def _serve(server: socketserver.BaseServer) -> None:
    threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True).start()


def _stop(server: socketserver.BaseServer) -> None:
    server.shutdown()
    server.server_close()
