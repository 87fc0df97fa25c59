"""What a stranger, or a proxy that means harm, can have of the server: each test is one that tries."""

import asyncio
import contextlib
import datetime
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from outgate.serve import allowances, authority, conversations
from outgate.serve.allowances import Allowance
from outgate.serve.doorways import Doorway
from outgate.serve.peers import Admitted, Peer
from outgate.serve.publishing import Publisher
from outgate.serve.server import Certificate, Server
from outgate.serve.stream import CLUSTER, LISTENER, ORDER, SECRET
from outgate.xds.protos import ads, discovery
from outgate.xds.snapshot import Resource

NOW, LIFE = datetime.datetime.now(datetime.UTC), datetime.timedelta(hours=1)
ROOT = authority.create(NOW, "mesh.test")
SCOPED = ORDER[-2]
GOOD = "good"


class Door:
    """A server whose proxies show a token; `hold` keeps them waiting, `end` ends their streams."""

    def __init__(self, allowance: Allowance) -> None:
        self.allowance, self.publisher = allowance, Publisher()
        self.publisher.publish([Resource(CLUSTER, "egress", "1", b"")])
        self.hold, self.end, self.inside = asyncio.Event(), asyncio.Event(), 0
        self.hold.set()
        self.asked: list[Peer] = []
        pair = ROOT.issue_server(["xds.test"], NOW, LIFE)
        self.server = Server(self.admit)
        self.port = self.server.listen_tls(
            "127.0.0.1:0", lambda: Certificate(pair.key, pair.certificate)
        )

    @contextlib.asynccontextmanager
    async def admit(self, peer: Peer) -> AsyncIterator[Admitted | None]:
        self.asked.append(peer)
        await self.hold.wait()
        if peer.token != GOOD:
            yield None
            return
        self.inside += 1
        try:
            yield Admitted("a/pod", self.publisher, "me", self.allowance, self.until)
        finally:
            self.inside -= 1

    async def until(self) -> str:
        await self.end.wait()
        return "the token expired"

    @contextlib.asynccontextmanager
    async def call(self, token: str = GOOD) -> AsyncIterator[Any]:
        credentials = grpc.ssl_channel_credentials(ROOT.bundle)
        options = [("grpc.ssl_target_name_override", "xds.test")]
        async with grpc.aio.secure_channel(
            f"127.0.0.1:{self.port}", credentials, options
        ) as channel:
            stub = ads.AggregatedDiscoveryServiceStub(channel)
            yield stub.DeltaAggregatedResources(metadata=[("authorization", f"Bearer {token}")])


Open = Callable[[Allowance], Any]


@pytest.fixture
async def open_door() -> AsyncIterator[Open]:
    doors: list[Door] = []

    async def start(allowance: Allowance = allowances.SIDECAR) -> Door:
        door = Door(allowance)
        await door.server.start()
        doors.append(door)
        return door

    yield start
    for door in doors:
        await door.server.stop()


def said(type_url: str = CLUSTER, node: str = "me", **words: Any) -> Any:
    message = discovery.DeltaDiscoveryRequest(type_url=type_url, **words)
    message.node.id = node
    return message


async def status(call: Any) -> tuple[Any, str]:
    async with asyncio.timeout(5):
        return await call.code(), await call.details()


async def test_who_has_no_good_token_is_refused_before_it_says_anything(open_door: Open) -> None:
    door = await open_door(allowances.SIDECAR)
    async with door.call("junk") as call:
        code, _ = await status(call)
    assert code == grpc.StatusCode.PERMISSION_DENIED
    (peer,) = door.asked
    assert (peer.token, peer.node, peer.address) == ("junk", "", "ipv4:127.0.0.1")


async def test_what_it_calls_itself_must_be_what_its_token_proves(
    open_door: Open, caplog: pytest.LogCaptureFixture
) -> None:
    door = await open_door(allowances.SIDECAR)
    async with door.call() as call:
        await call.write(said(node="x" * 5000))
        code, details = await status(call)
    assert code == grpc.StatusCode.PERMISSION_DENIED
    assert len(details) < 400
    assert "its token is that of me" in caplog.text
    assert len(caplog.text) < 1000
    assert door.inside == 0


async def test_who_was_let_in_and_says_nothing_is_not_waited_for(
    open_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "FIRST_SECONDS", 0.2)
    door = await open_door(allowances.SIDECAR)
    async with door.call() as call:
        code, _ = await status(call)
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert door.inside == 0


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (said(resource_names_subscribe=[str(n) for n in range(65)]), "more than 64 names"),
        (said(resource_names_unsubscribe=[str(n) for n in range(65)]), "more than 64 names"),
        (
            said(LISTENER, initial_resource_versions=dict.fromkeys(map(str, range(65)), "")),
            "more than 64 names",
        ),
        (said(resource_names_subscribe=["x" * 600]), "a name of 600 characters"),
        (said(SCOPED), "ScopedRouteConfiguration is not for it"),
        (said("x" * (600 << 10)), "a message of"),
    ],
)
async def test_a_sidecar_that_asks_for_too_much_is_told_so(
    open_door: Open, caplog: pytest.LogCaptureFixture, request_: Any, why: str
) -> None:
    door = await open_door(allowances.SIDECAR)
    async with door.call() as call:
        await call.write(said())
        await call.read()
        if request_.resource_names_unsubscribe:
            # What it never had is taken back all the same, as the protocol has it.
            await call.write(said(resource_names_subscribe=["*"]))
        await call.write(request_)
        with contextlib.suppress(grpc.aio.AioRpcError):
            while await call.read() is not grpc.aio.EOF:
                pass
        code, details = await status(call)
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert why in details
    assert f"ended the stream of proxy a/pod: {details}" in caplog.text
    assert door.server.status() == ()
    assert door.inside == 0


async def test_requests_that_nothing_gave_reason_for_have_an_end(
    open_door: Open, caplog: pytest.LogCaptureFixture
) -> None:
    door = await open_door(allowances.SIDECAR)
    async with door.call() as call:
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            for _ in range(1000):
                await call.write(said(SECRET, resource_names_subscribe=["workload"]))
        # One that is still writing may see the stream's reset before the reason.
        assert (await status(call))[0] != grpc.StatusCode.OK
    assert "requests, to which 1 responses gave no reason" in caplog.text


async def test_a_proxy_that_answers_may_go_on_for_ever(open_door: Open) -> None:
    door = await open_door(allowances.SIDECAR)
    async with door.call() as call:
        await call.write(said())
        for number in range(200):
            response = await asyncio.wait_for(call.read(), 5)
            door.publisher.publish([Resource(CLUSTER, "egress", f"{number}-", b"")])
            await call.write(said(response_nonce=response.nonce))
        assert door.inside == 1


async def test_the_egress_may_ask_for_each_service_by_name(open_door: Open) -> None:
    door = await open_door(allowances.EVERYTHING)
    async with door.call() as call:
        names = [f"http|service-{n}.some-namespace|80" for n in range(20_000)]
        await call.write(said(resource_names_subscribe=["*", *names]))
        assert len((await asyncio.wait_for(call.read(), 5)).removed_resources) == 20_000


async def test_a_stream_ends_when_its_token_is_good_no_more(
    open_door: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    door = await open_door(allowances.SIDECAR)
    async with door.call() as call:
        await call.write(said(LISTENER))
        await call.read()
        door.end.set()
        assert await status(call) == (grpc.StatusCode.UNAUTHENTICATED, "the token expired")
    assert "ended the stream of proxy a/pod: the token expired" in caplog.text
    assert door.inside == 0


async def test_one_address_cannot_take_all_places_at_the_door(open_door: Open) -> None:
    door = await open_door(allowances.SIDECAR)
    door.hold.clear()
    async with contextlib.AsyncExitStack() as stack:
        most = Doorway().most_per_address
        calls = [await stack.enter_async_context(door.call("junk")) for _ in range(most)]
        writing = [asyncio.ensure_future(status(call)) for call in calls]
        async with asyncio.timeout(10):
            while len(door.asked) < most:  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.01)
        async with door.call() as call:
            code, details = await status(call)
        assert code == grpc.StatusCode.UNAVAILABLE
        assert "too many wait" in details
        door.hold.set()
        assert {code for code, _ in await asyncio.gather(*writing)} == {
            grpc.StatusCode.PERMISSION_DENIED
        }
        async with door.call() as call:
            await call.write(said())
            assert (await asyncio.wait_for(call.read(), 5)).resources


def test_another_address_has_places_of_its_own() -> None:
    doorway = Doorway(most=3, most_per_address=2)
    with doorway.place("a"), doorway.place("a"), doorway.place("b"):
        for address in ("a", "c"):
            with pytest.raises(Exception, match="too many wait"), doorway.place(address):
                pass
    assert (doorway.total, doorway.waiting) == (0, {})
