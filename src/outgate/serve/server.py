"""The gRPC edge of the control plane: delta ADS over a Unix socket, and over mTLS where proxies are elsewhere."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from outgate.serve.publishing import Follower, Publisher
from outgate.serve.subscription import Request, Response
from outgate.xds.protos import ads, discovery

_log = logging.getLogger(__name__)

OPTIONS = (
    # A first answer with thousands of clusters is larger than gRPC's 4 MiB.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", 16 << 20),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.so_reuseport", 0),
)

Find = Callable[[str], Publisher | None]
"""Which publisher a node may follow; None refuses it."""


@dataclass(frozen=True, slots=True)
class ProxyStatus:
    """A connected proxy: `acknowledged` is the revision it answered for, `refusals` Envoy's words."""

    node: str
    acknowledged: int
    revision: int
    refusals: tuple[str, ...]
    connected_seconds: float


@dataclass(slots=True, eq=False)
class _Service(ads.AggregatedDiscoveryServiceServicer):  # type: ignore[misc]  # grpc has no types
    find: Find
    followers: dict[Follower, Publisher] = field(default_factory=dict)

    async def StreamAggregatedResources(  # noqa: N802 - the protocol's name
        self,
        _: AsyncIterator[Any],
        context: Any,  # noqa: ANN401
    ) -> None:
        await context.abort(
            grpc.StatusCode.UNIMPLEMENTED, "only delta is served: set api_type: DELTA_GRPC"
        )

    async def DeltaAggregatedResources(  # noqa: N802 - the protocol's name
        self,
        requests: AsyncIterator[Any],
        context: Any,  # noqa: ANN401
    ) -> None:
        first = await anext(aiter(requests), None)
        if first is None:
            return
        node = peer_identity(context) or first.node.id
        publisher = self.find(node)
        if publisher is None:
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED, f"{node!r} is not a proxy of this mesh"
            )
            return
        follower = Follower(node, connected_at=time.monotonic())
        publisher.followers.add(follower)
        self.followers[follower] = publisher
        _log.info("proxy %s connected", node)
        try:
            await _converse(follower, publisher, first, requests, context)
        finally:
            publisher.followers.discard(follower)
            self.followers.pop(follower, None)
            publisher.answered()
            _log.info("proxy %s disconnected", node)


async def _converse(
    follower: Follower,
    publisher: Publisher,
    first: Any,
    requests: AsyncIterator[Any],
    context: Any,  # noqa: ANN401
) -> None:
    def receive(message: Any) -> None:  # noqa: ANN401
        request = _read(message)
        if request.error:
            _log.error("proxy %s refused %s: %s", follower.node, message.type_url, request.error)
        follower.stream.receive(message.type_url, request, publisher.snapshot)
        follower.wake.set()
        if request.nonce:
            publisher.answered()

    async def read() -> None:
        async for message in requests:
            receive(message)
        raise _DoneError

    async def write() -> None:
        while True:
            await follower.wake.wait()
            follower.wake.clear()
            while found := follower.stream.next(publisher.snapshot, publisher.revision):
                await context.write(_written(*found))
            publisher.answered()

    receive(first)
    with contextlib.suppress(_DoneError):
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(read())
                group.create_task(write())
        except* _DoneError:
            raise _DoneError from None


class _DoneError(Exception):
    """The proxy closed its side of the stream."""


def _read(message: Any) -> Request:  # noqa: ANN401
    return Request(
        tuple(message.resource_names_subscribe),
        tuple(message.resource_names_unsubscribe),
        dict(message.initial_resource_versions),
        message.response_nonce,
        message.error_detail.message or ("refused" if message.HasField("error_detail") else ""),
    )


def _written(type_url: str, response: Response) -> Any:  # noqa: ANN401
    message = discovery.DeltaDiscoveryResponse(
        type_url=type_url, nonce=response.nonce, removed_resources=response.removed
    )
    for resource in response.resources:
        entry = message.resources.add(name=resource.name, version=resource.version)
        entry.resource.type_url, entry.resource.value = type_url, resource.value
    return message


def peer_identity(context: Any) -> str:  # noqa: ANN401
    """Return the SPIFFE ID in the peer's verified certificate; empty on a Unix socket."""
    names = context.auth_context().get("x509_subject_alternative_name", ())
    found = [name.decode() for name in names if name.startswith(b"spiffe://")]
    return found[0] if len(found) == 1 else ""


class Server:
    """Serves until stopped; make it inside a running event loop."""

    def __init__(self, find: Find) -> None:
        """Prepare to serve the publishers that `find` gives."""
        self._service = _Service(find)
        self._server = grpc.aio.server(options=OPTIONS)
        ads.add_AggregatedDiscoveryServiceServicer_to_server(self._service, self._server)

    def listen_unix(self, path: Path) -> None:
        """Listen on a Unix socket; one left by an earlier process is replaced."""
        path.unlink(missing_ok=True)
        self._server.add_insecure_port(f"unix:{path}")

    def listen_tls(self, address: str, key: bytes, chain: bytes, roots: bytes) -> int:
        """Listen on `host:port` for proxies with a certificate from `roots`; all are PEM. Returns the port."""
        credentials = grpc.ssl_server_credentials(
            [(key, chain)], root_certificates=roots, require_client_auth=True
        )
        return int(self._server.add_secure_port(address, credentials))

    async def start(self) -> None:
        """Begin to serve."""
        await self._server.start()

    async def stop(self, seconds: float = 0.2) -> None:
        """Stop; proxies keep what they have and try to connect again."""
        await self._server.stop(seconds)

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
            )
            for each, publisher in self._service.followers.items()
        )
        return tuple(sorted(found, key=lambda status: status.node))
