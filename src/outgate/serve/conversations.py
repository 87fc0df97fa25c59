"""One proxy's stream over gRPC: what is read and written on it, and why it ends."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc

from outgate.serve.peers import Admitted, Peer
from outgate.serve.publishing import Follower, Nack
from outgate.serve.subscription import Request, Response
from outgate.xds.protos import discovery

_log = logging.getLogger(__name__)

FIRST_SECONDS = 10.0
"""How long a proxy that was let in may be silent."""
_LAST_SECONDS = 1.0
"""How long a message that is being written holds back a stream's end: its reader may not read."""
_BEARER = "bearer "
_ERROR_CHARACTERS = 64 << 10
"""Of Envoy's words about what it refuses: more is not kept."""


class Refused(Exception):  # noqa: N818 - it says what happened to the stream
    """The stream ends, with a gRPC status and a reason."""

    def __init__(self, code: Any, reason: str) -> None:
        """Keep the status."""
        super().__init__(reason)
        self.code = code


@dataclass(slots=True)
class Conversation:
    """One stream; `run` reads and writes it."""

    follower: Follower
    admitted: Admitted
    requests: AsyncIterator[Any]
    context: Any
    _received: int = field(default=0, init=False)

    async def run(self, first: Any) -> None:
        """Go on until the proxy closes its side, or is to leave; Refused when it may not go on."""
        self._receive(first)
        refused: list[Refused] = []
        try:
            async with asyncio.TaskGroup() as group:
                ends = (self._read(), self.follower.leave.wait(), self._end())
                tasks = {group.create_task(each) for each in ends}
                writing = group.create_task(self._write())
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in (*tasks, writing):
                    task.cancel()
        except* Refused as found:
            refused += (each for each in found.exceptions if isinstance(each, Refused))
        if refused:
            raise refused[0]

    async def _read(self) -> None:
        async for message in self.requests:
            self._receive(message)

    def _receive(self, message: Any) -> None:
        request, allowance, stream = _read(message), self.admitted.allowance, self.follower.stream
        self._received += 1
        self._bound(allowance.excess(message.type_url, message.ByteSize(), request))
        if request.error:
            names = (self.follower.node, message.type_url, request.error)
            _log.error("proxy %s refused %.200s: %.1000s", *names)
            self.follower.nack = Nack(message.type_url, request.error, time.monotonic())
        stream.receive(message.type_url, request, self.admitted.publisher.snapshot)
        self._bound(allowance.overrun(stream, self._received))
        self.follower.wake.set()

    def _bound(self, excess: str) -> None:
        if excess:
            reason = f"it asks for too much: {excess}"
            raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, reason)

    async def _write(self) -> None:
        follower, publisher = self.follower, self.admitted.publisher
        while True:
            await follower.wake.wait()
            follower.wake.clear()
            while found := follower.stream.next(publisher.snapshot, publisher.revision):
                await self._send(_written(*found))
            publisher.answered()

    async def _send(self, message: Any) -> None:
        """Write one message. One that is being written is written: gRPC can tell a stream's end only after it."""
        writing = asyncio.ensure_future(self.context.write(message))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait((writing,), timeout=_LAST_SECONDS)
            if writing.done() and not writing.cancelled():
                # Whatever it was, the stream ends for the other reason.
                writing.exception()
            writing.cancel()
            raise

    async def _end(self) -> None:
        if not self.admitted.until:
            await asyncio.Event().wait()
            return
        reason = await self.admitted.until()
        raise Refused(grpc.StatusCode.UNAUTHENTICATED, reason)


async def first(requests: AsyncIterator[Any]) -> Any:
    """Return a stream's first message; Refused if there is none in time."""
    try:
        async with asyncio.timeout(FIRST_SECONDS):
            async for message in requests:
                return message
    except TimeoutError:
        pass
    raise Refused(grpc.StatusCode.DEADLINE_EXCEEDED, "nothing was asked for")


def _read(message: Any) -> Request:
    return Request(
        tuple(message.resource_names_subscribe),
        tuple(message.resource_names_unsubscribe),
        dict(message.initial_resource_versions),
        message.response_nonce,
        message.error_detail.message[:_ERROR_CHARACTERS]
        or ("refused" if message.HasField("error_detail") else ""),
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


def peer(context: Any) -> Peer:
    """Return what is known of a peer before it has said anything."""
    local = context.auth_context().get("transport_security_type") != [b"ssl"]
    given = dict(context.invocation_metadata() or ()).get("authorization", "")
    token = given[len(_BEARER) :] if given.lower().startswith(_BEARER) else ""
    # "ipv4:192.0.2.1:40000": the port is another one each time.
    address = context.peer().rpartition(":")[0]
    return Peer("", peer_identity(context), token, address, local)
