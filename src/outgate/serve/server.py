"""The gRPC edge of the control plane: delta ADS over a Unix socket, and over TLS for the rest."""

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from outgate.errors import HostError, UnavailableError
from outgate.serve.peers import Admit, Admitted, Peer
from outgate.serve.publishing import Follower, Nack, Publisher, version_of
from outgate.serve.subscription import Request, Response
from outgate.xds.protos import ads, discovery

_log = logging.getLogger(__name__)

OPTIONS = (
    # A first answer with thousands of clusters is larger than gRPC's 4 MiB.
    ("grpc.max_send_message_length", -1),
    # Names and versions of thousands of clusters fit; more would be memory that a stranger can have.
    ("grpc.max_receive_message_length", 4 << 20),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.so_reuseport", 0),
)
_PATH_BYTES = 107
"""The longest path of a Unix socket: `sun_path` in unix(7), less its NUL."""

_BEARER = "bearer "
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
    followers: dict[Follower, Publisher] = field(default_factory=dict)

    async def StreamAggregatedResources(self, _: AsyncIterator[Any], context: Any) -> None:
        await context.abort(
            grpc.StatusCode.UNIMPLEMENTED, "only delta is served: set api_type: DELTA_GRPC"
        )

    async def DeltaAggregatedResources(self, requests: AsyncIterator[Any], context: Any) -> None:
        first = await anext(aiter(requests), None)
        if first is None:
            return
        peer = _peer(context, first.node.id)
        try:
            async with self.admit(peer) as admitted:
                if admitted is not None:
                    await self._serve(admitted, first, requests, context)
                    return
        except UnavailableError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        name = peer.node if peer.local else peer.identity or peer.node
        await context.abort(
            grpc.StatusCode.PERMISSION_DENIED, f"{name!r} is not a proxy of this mesh"
        )

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
            await _Conversation(follower, publisher, requests, context).run(first)
        finally:
            publisher.followers.discard(follower)
            self.followers.pop(follower, None)
            publisher.answered()
            _log.info("proxy %s disconnected", admitted.name)


@dataclass(frozen=True, slots=True)
class _Conversation:
    """One stream: what is read and written on it."""

    follower: Follower
    publisher: Publisher
    requests: AsyncIterator[Any]
    context: Any

    async def run(self, first: Any) -> None:
        """Go on until the proxy closes its side, or is to leave."""
        self._receive(first)
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(self._write())
            reading = group.create_task(self._read())
            leaving = group.create_task(self.follower.leave.wait())
            await asyncio.wait({reading, leaving}, return_when=asyncio.FIRST_COMPLETED)
            for task in (writing, reading, leaving):
                task.cancel()

    async def _read(self) -> None:
        async for message in self.requests:
            self._receive(message)

    def _receive(self, message: Any) -> None:
        request = _read(message)
        if request.error:
            names = (self.follower.node, message.type_url, request.error)
            _log.error("proxy %s refused %s: %.1000s", *names)
            self.follower.nack = Nack(message.type_url, request.error, time.monotonic())
        self.follower.stream.receive(message.type_url, request, self.publisher.snapshot)
        self.follower.wake.set()

    async def _write(self) -> None:
        follower, publisher = self.follower, self.publisher
        while True:
            await follower.wake.wait()
            follower.wake.clear()
            while found := follower.stream.next(publisher.snapshot, publisher.revision):
                await self.context.write(_written(*found))
            publisher.answered()


def _read(message: Any) -> Request:
    return Request(
        tuple(message.resource_names_subscribe),
        tuple(message.resource_names_unsubscribe),
        dict(message.initial_resource_versions),
        message.response_nonce,
        message.error_detail.message or ("refused" if message.HasField("error_detail") else ""),
    )


def _written(type_url: str, response: Response) -> Any:
    message = discovery.DeltaDiscoveryResponse(
        type_url=type_url, nonce=response.nonce, removed_resources=response.removed
    )
    for resource in response.resources:
        entry = message.resources.add(name=resource.name, version=resource.version)
        entry.resource.type_url, entry.resource.value = type_url, resource.value
    return message


def peer_identity(context: Any) -> str:
    """Return the SPIFFE ID in the peer's verified certificate; empty on a Unix socket."""
    names = context.auth_context().get("x509_subject_alternative_name", ())
    found = [name.decode() for name in names if name.startswith(b"spiffe://")]
    return found[0] if len(found) == 1 else ""


def _peer(context: Any, node: str) -> Peer:
    # Over TLS what the proxy calls itself is no proof.
    local = context.auth_context().get("transport_security_type") != [b"ssl"]
    given = dict(context.invocation_metadata() or ()).get("authorization", "")
    token = given[len(_BEARER) :] if given.lower().startswith(_BEARER) else ""
    return Peer(node, peer_identity(context), token, local)


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
