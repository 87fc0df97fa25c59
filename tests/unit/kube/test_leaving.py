"""A replica that stops serves newcomers for a moment, and then hands over what it has."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from outgate.kube import leaving
from outgate.serve.peers import by_name
from outgate.serve.publishing import Publisher
from outgate.serve.server import Server
from outgate.serve.stream import CLUSTER
from outgate.xds.protos import ads, discovery
from outgate.xds.snapshot import Resource


@pytest.fixture
async def stub(tmp_path_factory: pytest.TempPathFactory, server: Server) -> AsyncIterator[Any]:
    path = tmp_path_factory.mktemp("x") / "s"
    server.listen_unix(path)
    await server.start()
    async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
        yield ads.AggregatedDiscoveryServiceStub(channel)
    await server.stop(0)


@pytest.fixture
async def server() -> Server:
    publisher = Publisher()
    publisher.publish((Resource(CLUSTER, "a", "1", b"1"),))
    return Server(by_name(lambda _: publisher))


async def connected(stub: Any) -> Any:
    call = stub.DeltaAggregatedResources()
    request = discovery.DeltaDiscoveryRequest(type_url=CLUSTER)
    request.node.id = "someone"
    await call.write(request)
    assert [each.name for each in (await call.read()).resources] == ["a"]
    return call


async def test_newcomers_are_served_for_a_moment(
    stub: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaving, "LINGER_SECONDS", 0.3)
    monkeypatch.setattr(leaving, "SHORTEST_SECONDS", 0.3)
    before, taking = await connected(stub), asyncio.Event()
    taking.set()
    async with asyncio.TaskGroup() as group:
        group.create_task(leaving.leave(server, taking))
        await asyncio.sleep(0.15)
        late = await connected(stub)
        assert taking.is_set()
        for call in (before, late):
            assert await call.read() is grpc.aio.EOF
            assert await call.code() == grpc.StatusCode.OK
        assert not taking.is_set()


def test_more_proxies_get_more_time_but_less_than_the_pod_has() -> None:
    spreads = [leaving.spread(each) for each in (0, 1, 1_000, 100_000)]
    assert spreads == sorted(spreads)
    assert spreads[2] == 10
    # One connection in ten milliseconds is what another replica takes beside its other work.
    assert leaving.LINGER_SECONDS + spreads[-1] + 5 < leaving.GRACE_SECONDS
