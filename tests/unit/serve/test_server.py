"""The server over real sockets, with clients that say exactly what a test wants."""

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from outgate.errors import EnvoyError, HostError, UnavailableError
from outgate.serve.peers import by_name
from outgate.serve.publishing import Publisher
from outgate.serve.server import Server
from outgate.serve.stream import CLUSTER, LISTENER
from outgate.xds.protos import ads, discovery
from outgate.xds.snapshot import Resource

_UNLIMITED = (("grpc.max_receive_message_length", -1),)  # as Envoy is

Serve = Callable[[], Awaitable[Server]]


def resource(name: str, content: str = "1", type_url: str = CLUSTER) -> Resource:
    return Resource(type_url, name, content, content.encode())


class Client:
    """A proxy's stream; each request and answer is written out by the test."""

    def __init__(self, call: Any, node: str) -> None:
        self.call, self.node = call, node

    async def says(self, type_url: str = CLUSTER, **words: Any) -> None:
        message = discovery.DeltaDiscoveryRequest(type_url=type_url, **words)
        message.node.id = self.node
        await self.call.write(message)

    async def gets(self) -> Any:
        async with asyncio.timeout(5):
            return await self.call.read()

    async def accepts(self, response: Any) -> None:
        await self.says(response.type_url, response_nonce=response.nonce)

    async def refuses(self, response: Any, why: str) -> None:
        error = {"code": 13, "message": why}
        await self.says(response.type_url, response_nonce=response.nonce, error_detail=error)

    async def starts(self) -> None:
        for type_url in (CLUSTER, LISTENER):
            await self.says(type_url)
            await self.accepts(await self.gets())


@pytest.fixture
async def connect(folder: Path) -> AsyncIterator[Callable[..., Client]]:
    async with contextlib.AsyncExitStack() as stack:

        async def open_channel() -> Any:
            return await stack.enter_async_context(
                grpc.aio.insecure_channel(f"unix:{folder}/xds.sock", _UNLIMITED)
            )

        channel = await open_channel()

        def make(node: str = "known") -> Client:
            stub = ads.AggregatedDiscoveryServiceStub(channel)
            return Client(stub.DeltaAggregatedResources(), node)

        yield make


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.005)


async def test_serves_what_is_there_and_what_comes(
    serve: Serve, connect: Callable[..., Client], publisher: Publisher
) -> None:
    publisher.publish([resource("a")])
    await serve()
    client = connect()
    await client.says()
    response = await client.gets()
    assert [(each.name, each.resource.value) for each in response.resources] == [("a", b"1")]
    assert response.resources[0].resource.type_url == response.type_url == CLUSTER
    await client.accepts(response)
    publisher.publish([resource("b")], [(CLUSTER, "a")])
    response = await client.gets()
    assert [each.name for each in response.resources] == ["b"]
    await client.accepts(response)
    assert list((await client.gets()).removed_resources) == ["a"]


async def test_a_proxy_that_is_not_known_is_refused(
    serve: Serve, connect: Callable[..., Client]
) -> None:
    server = await serve()
    for name in ("stranger", ""):
        client = connect(name)
        await client.says()
        assert await client.call.code() == grpc.StatusCode.PERMISSION_DENIED
    assert server.status() == ()


async def test_only_delta_is_served_and_the_error_says_so(serve: Serve, folder: Path) -> None:
    await serve()
    async with grpc.aio.insecure_channel(f"unix:{folder}/xds.sock") as channel:
        call = ads.AggregatedDiscoveryServiceStub(channel).StreamAggregatedResources()
        # The refusal may be there before anything was written.
        with contextlib.suppress(grpc.aio.AioRpcError):
            await call.write(discovery.DiscoveryRequest())
        assert await call.code() == grpc.StatusCode.UNIMPLEMENTED
        assert "DELTA_GRPC" in await call.details()


async def test_the_socket_is_for_the_owner_alone_and_a_stale_one_is_replaced(
    serve: Serve, connect: Callable[..., Client], folder: Path
) -> None:
    path = folder / "xds.sock"
    server = await serve()
    os.link(path, folder / "stale")
    await server.stop()
    (folder / "stale").rename(path)
    assert path.is_socket()
    await serve()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    client = connect()
    await client.says()
    assert await client.gets()


async def test_a_file_in_the_way_of_the_socket_is_kept(serve: Serve, folder: Path) -> None:
    (folder / "xds.sock").write_text("precious")
    with pytest.raises(HostError, match="not a socket"):
        await serve()
    assert (folder / "xds.sock").read_text() == "precious"


async def test_a_path_that_is_too_long_is_a_clear_error(publisher: Publisher, folder: Path) -> None:
    server = Server(by_name(lambda _: publisher))
    with pytest.raises(HostError, match="too long"):
        server.listen_unix(folder / ("x" * 100))
    with pytest.raises(HostError, match="cannot listen"):
        server.listen_unix(folder / "none" / "xds.sock")
    await server.stop()


async def test_waiting_ends_when_the_proxy_has_answered_for_everything(
    serve: Serve, connect: Callable[..., Client], publisher: Publisher
) -> None:
    await serve()
    with pytest.raises(UnavailableError, match="not connected"):
        await publisher.wait(publisher.revision, 0.01)
    client = connect()
    await client.starts()
    await publisher.wait(publisher.revision, 5)
    revision = publisher.publish([resource("a"), resource("l", type_url=LISTENER)])
    responses = [await client.gets(), await client.gets()]
    with pytest.raises(UnavailableError, match="in time"):
        await publisher.wait(revision, 0.05)
    await client.accepts(responses[0])
    with pytest.raises(UnavailableError, match="in time"):
        await publisher.wait(revision, 0.05)
    await client.accepts(responses[1])
    assert await publisher.wait(revision, 5) == ()


async def test_waiting_for_a_name_does_not_wait_for_others(
    serve: Serve, connect: Callable[..., Client], publisher: Publisher
) -> None:
    await serve()
    client = connect()
    await client.starts()
    # As when a server of names does not answer: Envoy is silent until the cluster is ready.
    publisher.publish([resource("slow")])
    await client.gets()
    revision = publisher.publish([resource("pod", type_url=LISTENER)])
    response = await client.gets()
    with pytest.raises(UnavailableError, match="in time"):
        await publisher.wait_for(revision, ["pod"], 0.05)
    await client.accepts(response)
    await publisher.wait_for(revision, ["pod"], 5)
    with pytest.raises(UnavailableError, match="in time"):
        await publisher.wait_for(revision, ["pod", "slow"], 0.05)


async def test_waiting_for_what_is_refused_is_an_error_and_for_the_rest_it_is_not(
    serve: Serve, connect: Callable[..., Client], publisher: Publisher
) -> None:
    server = await serve()
    client = connect()
    await client.starts()
    revision = publisher.publish([resource("bad", type_url=LISTENER)])
    await client.refuses(await client.gets(), "port 99999")
    with pytest.raises(EnvoyError, match="bad: port 99999"):
        await publisher.wait_for(revision, ["bad"], 5)
    await publisher.wait_for(revision, ["good"], 5)
    assert server.status()[0].refusals == ("port 99999",)
    revision = publisher.publish((), [(LISTENER, "bad")])
    await publisher.wait_for(revision, ["bad"], 5)
    assert server.status()[0].refusals == ()


async def test_a_proxy_that_goes_is_forgotten(
    serve: Serve, connect: Callable[..., Client], publisher: Publisher
) -> None:
    server = await serve()
    for leave in ("cancel", "done"):
        client = connect()
        await client.starts()
        await until(lambda: len(server.status()) == 1)
        if leave == "cancel":
            client.call.cancel()
        else:
            await client.call.done_writing()
        await until(lambda: server.status() == ())
        assert publisher.followers == set()


async def test_a_proxy_that_never_answers_holds_up_no_other_and_costs_one_response(
    serve: Serve, connect: Callable[..., Client], publisher: Publisher
) -> None:
    server = await serve()
    slow, quick = connect("known-slow"), connect("known-quick")
    await slow.says()
    await slow.gets()
    await quick.starts()
    for n in range(50):
        publisher.publish([resource("a", f"{n}")])
        await quick.accepts(response := await quick.gets())
        assert response.resources[0].resource.value == f"{n}".encode()
    status = {each.node: each.responses for each in server.status()}
    assert status == {"known-slow": 1, "known-quick": 52}


async def test_many_proxies_all_get_each_change(
    serve: Serve, connect: Callable[..., Client], publisher: Publisher
) -> None:
    server = await serve()
    clients = [connect(f"known-{n}") for n in range(200)]
    await asyncio.gather(*(client.starts() for client in clients))
    for n in range(3):
        revision = publisher.publish([resource("a", f"{n}")])
        for response in await asyncio.gather(*(client.gets() for client in clients)):
            assert response.resources[0].resource.value == f"{n}".encode()
        last = await asyncio.gather(*(_accept_again(client, n) for client in clients))
        assert len(last) == 200
        await publisher.wait(revision, 5)
    assert {each.acknowledged for each in server.status()} == {publisher.revision}


async def _accept_again(client: Client, change: int) -> None:
    # Nonces count the responses of a type: the first was the answer to the subscription.
    await client.says(CLUSTER, response_nonce=str(change + 2))


async def test_a_large_first_answer_arrives_whole(
    serve: Serve, connect: Callable[..., Client], publisher: Publisher
) -> None:
    publisher.publish([resource(f"c{n}", "x" * 1000) for n in range(3000)])
    await serve()
    client = connect()
    await client.says()
    assert len((await client.gets()).resources) == 3000


async def test_streams_are_handed_over_one_after_another(
    serve: Serve, connect: Callable[..., Client], publisher: Publisher
) -> None:
    publisher.publish((resource("a"),))
    server = await serve()
    # All on one connection, as each proxy has its own: what comes later must not end there again.
    proxies = [connect(f"known-{index}") for index in range(20)]
    for each in proxies:
        await each.starts()
    loop = asyncio.get_running_loop()
    ended: list[float] = []
    began = loop.time()

    async def comes_back(proxy: Client, name: str) -> None:
        assert await proxy.gets() is grpc.aio.EOF
        assert await proxy.call.code() == grpc.StatusCode.OK
        ended.append(loop.time() - began)
        await connect(name).starts()

    async with asyncio.TaskGroup() as group:
        draining = group.create_task(server.drain(1.0))
        await asyncio.sleep(0.05)
        other = await serve()
        for index, each in enumerate(proxies):
            group.create_task(comes_back(each, f"known-again-{index}"))
        await draining
        assert not server.status()
    assert max(ended) - min(ended) > 0.4
    assert max(ended) < 1.5
    assert len(other.status()) == 20


async def test_what_changes_while_a_server_leaves_still_arrives(
    serve: Serve, connect: Callable[..., Client], publisher: Publisher
) -> None:
    server = await serve()
    client = connect()
    await client.starts()
    async with asyncio.TaskGroup() as group:
        group.create_task(server.drain(2.0))
        await asyncio.sleep(0.05)
        publisher.publish((resource("b"),))
        assert [each.name for each in (await client.gets()).resources] == ["b"]
