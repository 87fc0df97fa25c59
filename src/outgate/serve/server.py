"""The gRPC edge of the control plane: delta ADS over a Unix socket, and over TLS for the rest."""

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc

from outgate.errors import HostError, UnavailableError
from outgate.serve import conversations
from outgate.serve.allowances import EVERYTHING
from outgate.serve.conversations import Conversation, Refused
from outgate.serve.doorways import Doorway
from outgate.serve.peers import Admit, Admitted, Peer
from outgate.serve.publishing import Follower, Publisher, version_of
from outgate.xds.protos import ads

_log = logging.getLogger(__name__)

OPTIONS = (
    # A first answer with thousands of clusters is larger than gRPC's 4 MiB.
    ("grpc.max_send_message_length", -1),
    # Names and versions of thousands of clusters fit; who gets less is told so (`serve.allowances`).
    ("grpc.max_receive_message_length", EVERYTHING.message_bytes),
    # A proxy has one stream; who opens a connection and says nothing is not waited for.
    ("grpc.max_concurrent_streams", 256),
    ("grpc.max_connection_idle_ms", 60_000),
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.so_reuseport", 0),
)
_PATH_BYTES = 107
"""The longest path of a Unix socket: `sun_path` in unix(7), less its NUL."""

_SHOWN = 256
"""Characters of what a proxy calls itself that are shown."""
_NOTICE_SECONDS, _LAST_SECONDS = 0.1, 2.0


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the server shows, as PEM; with `roots`, clients must have a certificate that chains to them."""

    key: bytes = field(repr=False)
    chain: bytes
    roots: bytes | None = None


@dataclass(frozen=True, slots=True)
class ProxyStatus:
    """A connected proxy: `acknowledged` is the revision it answered for."""

    node: str
    acknowledged: int
    revision: int
    refusals: tuple[str, ...]
    connected_seconds: float
    responses: int = 0
    """How many responses it was sent on this connection."""


@dataclass(slots=True, eq=False)
class _Service(ads.AggregatedDiscoveryServiceServicer):  # type: ignore[misc]  # grpc has no types
    admit: Admit
    doorway: Doorway = field(default_factory=Doorway)
    followers: dict[Follower, Publisher] = field(default_factory=dict)

    async def StreamAggregatedResources(self, _: AsyncIterator[Any], context: Any) -> None:
        await context.abort(
            grpc.StatusCode.UNIMPLEMENTED, "only delta is served: set api_type: DELTA_GRPC"
        )

    async def DeltaAggregatedResources(self, requests: AsyncIterator[Any], context: Any) -> None:
        try:
            await self._answer(conversations.peer(context), requests, context)
        except UnavailableError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except Refused as error:
            await context.abort(error.code, str(error))

    async def _answer(self, peer: Peer, requests: AsyncIterator[Any], context: Any) -> None:
        first = None
        if peer.local:
            # On our own socket a proxy is what it says it is; elsewhere nothing is read of who was not let in.
            first = await conversations.first(requests)
            peer = replace(peer, node=first.node.id)
        async with AsyncExitStack() as stack:
            with self.doorway.place(peer.address):
                admitted = await stack.enter_async_context(self.admit(peer))
            if admitted is None:
                name = peer.node if peer.local else peer.identity or peer.address
                raise Refused(
                    grpc.StatusCode.PERMISSION_DENIED, f"{name!r} is not a proxy of this mesh"
                )
            first = first or await conversations.first(requests)
            if admitted.node and first.node.id != admitted.node:
                said = first.node.id[:_SHOWN]
                _log.warning("refused %r: its token is that of %s", said, admitted.node)
                raise Refused(
                    grpc.StatusCode.PERMISSION_DENIED, f"{said!r} is not whose token it has"
                )
            await self._serve(admitted, first, requests, context)

    async def _serve(
        self, admitted: Admitted, first: Any, requests: AsyncIterator[Any], context: Any
    ) -> None:
        publisher = admitted.publisher
        follower = Follower(
            admitted.name, connected_at=time.monotonic(), envoy=version_of(first.node)
        )
        publisher.followers.add(follower)
        self.followers[follower] = publisher
        _log.info("proxy %s connected", admitted.name)
        try:
            await Conversation(follower, admitted, requests, context).run(first)
        except Refused as error:
            _log.warning("ended the stream of proxy %s: %s", admitted.name, error)
            raise
        finally:
            publisher.followers.discard(follower)
            self.followers.pop(follower, None)
            publisher.answered()
            _log.info("proxy %s disconnected", admitted.name)


def _configuration(certificate: Certificate) -> Any:
    pairs = [(certificate.key, certificate.chain)]
    return grpc.ssl_server_certificate_configuration(pairs, root_certificates=certificate.roots)


class Server:
    """Serves until stopped; make it inside a running event loop."""

    def __init__(self, admit: Admit) -> None:
        """Prepare to serve those that `admit` lets in."""
        self._service = _Service(admit)
        self._server = grpc.aio.server(options=OPTIONS)
        ads.add_AggregatedDiscoveryServiceServicer_to_server(self._service, self._server)

    def listen_unix(self, path: Path) -> None:
        """Listen on a Unix socket for the owner alone; one left by an earlier process is replaced.

        HostError if the path is too long, or is something else than a socket.
        """
        if len(os.fsencode(path)) > _PATH_BYTES:
            hint = f"use a folder that leaves it {_PATH_BYTES} bytes"
            raise HostError(f"{path} is too long for a Unix socket", hint=hint)
        if os.path.lexists(path) and not path.is_socket():
            raise HostError(f"{path} is in the way: it is not a socket", hint="remove it")
        path.unlink(missing_ok=True)
        # gRPC makes the socket here; nobody else may get in before its mode could be changed.
        before = os.umask(0o177)
        try:
            self._server.add_insecure_port(f"unix:{path}")
        except RuntimeError as error:
            raise HostError(f"cannot listen on {path}: {error}") from error
        finally:
            os.umask(before)

    def listen_tls(self, address: str, current: Callable[[], Certificate]) -> int:
        """Listen on `host:port` over TLS, and return the port; HostError if the address cannot be had.

        `current` is asked at each handshake, so that a certificate that was renewed is used at once.
        """
        first = current()
        last = [first]

        def changed() -> Any:
            if (certificate := current()) == last[0]:
                return None
            last[0] = certificate
            return _configuration(certificate)

        credentials = grpc.dynamic_ssl_server_credentials(
            _configuration(first), changed, require_client_authentication=first.roots is not None
        )
        try:
            return int(self._server.add_secure_port(address, credentials))
        except RuntimeError as error:
            raise HostError(f"cannot listen on {address}: {error}") from error

    async def start(self) -> None:
        """Begin to serve."""
        await self._server.start()

    async def drain(self, seconds: float) -> None:
        """Take no more streams, and end those that there are at random moments within `seconds`.

        Each connection is told at once that it is the last stream's (GOAWAY), so that whoever opens another one
        connects anew, to another server if there is one.
        """
        loop = asyncio.get_running_loop()
        for follower in self._service.followers:
            # Not before the connections were told.
            delay = random.uniform(_NOTICE_SECONDS, max(seconds, _NOTICE_SECONDS))  # noqa: S311 - not a secret
            loop.call_later(delay, follower.leave.set)
        await self._server.stop(seconds + _LAST_SECONDS)

    async def stop(self, seconds: float = 0.2) -> None:
        """Stop; proxies keep what they have and try to connect again."""
        await self._server.stop(seconds)

    def proxies(self) -> tuple[tuple[Follower, Publisher], ...]:
        """Return all connected proxies, by name, each with what it follows."""
        found = self._service.followers.items()
        return tuple(sorted(found, key=lambda pair: pair[0].node))

    def status(self) -> tuple[ProxyStatus, ...]:
        """Return all connected proxies, by name."""
        now = time.monotonic()
        found = (
            ProxyStatus(
                each.node,
                each.stream.acknowledged(),
                publisher.revision,
                tuple(refusal.message for refusal in each.stream.refusals()),
                now - each.connected_at,
                each.stream.responses,
            )
            for each, publisher in self._service.followers.items()
        )
        return tuple(sorted(found, key=lambda status: status.node))
