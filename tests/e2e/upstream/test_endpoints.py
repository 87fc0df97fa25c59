"""Endpoints: written out or resolved, with weights, priorities and localities, and what is done about bad ones."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from tests.e2e.upstream.conftest import HOST, external

from outgate.traffic.references import Protocol
from outgate.traffic.upstream import (
    Algorithm,
    Balancing,
    Breakers,
    Endpoint,
    Hash,
    HashKey,
    Health,
    Outlier,
    Pool,
    Probe,
    Resolution,
    Upstream,
)

pytestmark = pytest.mark.envoy


async def several(place: Any, *names: str) -> list[Any]:
    return [await place(each).open() for each in names]


def at(*places: Any, **fields: Any) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(each.ip, each.port, **fields) for each in places)


async def bodies(egress: Any, count: int, **headers: str) -> Counter[str]:
    return Counter([(await egress.get(**headers)).body for _ in range(count)])


async def only(egress: Any, name: str) -> None:
    async with asyncio.timeout(10):
        while await bodies(egress, 6) != {name: 6}:  # noqa: ASYNC110 - Envoy does not call
            await asyncio.sleep(0.1)


async def test_addresses_are_called_as_they_are_written_in_turn(egress: Any, place: Any) -> None:
    a, b = await several(place, "a", "b")
    said = Upstream(resolution=Resolution.STATIC, endpoints=at(a, b))
    await egress.program(external(said))
    assert await bodies(egress, 10) == {"a": 5, "b": 5}


async def test_weights(egress: Any, place: Any) -> None:
    a, b = await several(place, "a", "b")
    said = Upstream(endpoints=(*at(a, weight=4), *at(b)))
    await egress.program(external(said))
    assert await bodies(egress, 20) == {"a": 16, "b": 4}


async def test_the_port_outside_may_be_another(egress: Any, place: Any) -> None:
    (a,) = await several(place, "a")
    said = Upstream(endpoints=(Endpoint("127.0.0.1"),))
    await egress.program(external(said, number=80, target=a.port))
    assert (await egress.get()).body == "a"


async def test_the_next_priority_serves_while_the_first_fails(egress: Any, place: Any) -> None:
    """Without a word on how to see that."""
    a, b = await several(place, "a", "b")
    said = Upstream(endpoints=(*at(a), *at(b, priority=7)))
    await egress.program(external(said))
    assert await bodies(egress, 5) == {"a": 5}
    a.status = 503
    await egress.until(lambda answer: answer.body == "b")
    assert await bodies(egress, 5) == {"b": 5}


async def test_localities_share_by_weight(egress: Any, place: Any) -> None:
    a, b = await several(place, "a", "b")
    here, there = ("eu", "a", ""), ("us", "b", "")
    said = Upstream(endpoints=(*at(a, locality=here, weight=9), *at(b, locality=there)))
    await egress.program(external(said))
    assert await bodies(egress, 20) == {"a": 18, "b": 2}


async def test_an_endpoint_that_fails_is_taken_out_and_comes_back(egress: Any, place: Any) -> None:
    a, b = await several(place, "a", "b")
    outlier = Outlier(consecutive_errors=2, interval=0.1, ejection_time=1.0)
    await egress.program(external(Upstream(endpoints=at(a, b), outlier=outlier)))
    a.status = 500
    await egress.until(lambda _: len(a.requests) == 2)
    assert await bodies(egress, 6) == {"b": 6}
    a.status = 200
    await egress.until(lambda answer: answer.body == "a")


async def test_only_what_fails_at_the_gateway_counts_where_that_is_said(
    egress: Any, place: Any
) -> None:
    a, b = await several(place, "a", "b")
    outlier = Outlier(consecutive_gateway_errors=2, interval=0.1, ejection_time=5.0)
    await egress.program(external(Upstream(endpoints=at(a, b), outlier=outlier)))
    a.status = 500
    assert await bodies(egress, 20) == {"a": 10, "b": 10}
    a.status = 502
    await egress.until(lambda _: len(a.requests) == 12)
    assert await bodies(egress, 6) == {"b": 6}


@pytest.mark.parametrize("probe", list(Probe)[:2])
async def test_what_is_unhealthy_is_not_called(egress: Any, place: Any, probe: Probe) -> None:
    a, b = await several(place, "a", "b")
    health = Health(probe, path="/healthz", interval=0.1, timeout=0.5, unhealthy=2)
    await egress.program(external(Upstream(endpoints=at(a, b), health=health)))
    assert await bodies(egress, 10) == {"a": 5, "b": 5}
    if probe is Probe.HTTP:
        assert any(f"GET /healthz HTTP/1.1\r\nhost: {HOST}" in each for each in a.requests)
    a.status = 500
    a.close()
    await only(egress, "b")


async def test_a_status_may_be_healthy_that_is_not_200(egress: Any, place: Any) -> None:
    a, b = await several(place, "a", "b")
    health = Health(Probe.HTTP, interval=0.1, timeout=0.5, unhealthy=1, statuses=(204, 404))
    await egress.program(external(Upstream(endpoints=at(a, b), health=health)))
    a.status = 404
    await only(egress, "a")


async def test_beyond_the_breakers_calls_fail_at_once_and_say_so(egress: Any, place: Any) -> None:
    a = await place("a", delay=0.5).open()
    breakers = Breakers(connections=1, pending=1)
    await egress.program(external(Upstream(endpoints=at(a), breakers=breakers)))
    answers = await asyncio.gather(*(egress.get() for _ in range(6)))
    refused = [each for each in answers if each.status == 503]
    # One is served, and one may wait for it, if it comes when there is a connection already.
    assert len(refused) in {4, 5}
    assert {each.body for each in answers if each.status == 200} == {"a"}
    assert all("x-envoy-overloaded: true" in each.head for each in refused)


async def test_connections_are_reused_only_so_often(egress: Any, place: Any) -> None:
    (a,) = await several(place, "a")
    await egress.program(external(Upstream(endpoints=at(a))))
    await bodies(egress, 6)
    assert a.connections == 1
    pool = Pool(requests_per_connection=2)
    await egress.program(external(Upstream(endpoints=at(a), pool=pool)))
    await bodies(egress, 6)
    assert a.connections == 4


async def test_connections_end_when_idle_and_when_old(egress: Any, place: Any) -> None:
    (a,) = await several(place, "a")
    for pool in (Pool(idle_timeout=0.2), Pool(lifetime=0.2)):
        await egress.program(external(Upstream(endpoints=at(a), pool=pool)))
        before = a.connections
        await egress.get()
        await asyncio.sleep(0.6)
        await egress.get()
        assert a.connections == before + 2


async def test_a_connection_that_cannot_be_made_is_given_up_in_time(egress: Any) -> None:
    # Nobody answers there (RFC 5737), or says so at once.
    said = Upstream(endpoints=(Endpoint("192.0.2.1", 9),), pool=Pool(connect_timeout=0.3))
    await egress.program(external(said))
    began = asyncio.get_running_loop().time()
    assert (await egress.get()).status == 503
    assert asyncio.get_running_loop().time() - began < 0.9


async def test_a_ring_keeps_to_one_endpoint_for_one_key(egress: Any, place: Any) -> None:
    places = await several(place, "a", "b", "c")
    balancing = Balancing(Algorithm.RING_HASH, (Hash(HashKey.HEADER, "x-user"),), 128)
    await egress.program(external(Upstream(endpoints=at(*places), balancing=balancing)))
    chosen = []
    for user in range(12):
        (body,) = await bodies(egress, 4, x_user=f"user-{user}")
        chosen.append(body)
    assert len(set(chosen)) > 1


@pytest.mark.parametrize("algorithm", [Algorithm.LEAST_REQUEST, Algorithm.RANDOM])
async def test_other_ways_to_choose(egress: Any, place: Any, algorithm: Algorithm) -> None:
    a, b = await several(place, "a", "b")
    balancing = Balancing(algorithm)
    await egress.program(external(Upstream(endpoints=at(a, b), balancing=balancing)))
    assert len(await bodies(egress, 30)) == 2


async def test_plain_tcp_is_spread_too(egress: Any, place: Any) -> None:
    a, b = await several(place, "a", "b")
    await egress.program(external(Upstream(endpoints=at(a, b)), Protocol.TCP))
    port = await egress.tcp(HOST)
    assert {(await egress.get(port=port)).body for _ in range(4)} == {"a", "b"}


async def test_plain_tcp_falls_back_too(egress: Any, place: Any) -> None:
    a, b = await several(place, "a", "b")
    said = Upstream(endpoints=(*at(a), *at(b, priority=1)))
    await egress.program(external(said, Protocol.TCP))
    port = await egress.tcp(HOST)
    assert (await egress.get(port=port)).body == "a"
    a.close()
    async with asyncio.timeout(10):
        # Each that meets the dead one is closed, until enough have.
        while (await egress.get(port=port)).body != "b":  # noqa: ASYNC110 - Envoy does not call
            await asyncio.sleep(0.05)
    assert {(await egress.get(port=port)).body for _ in range(4)} == {"b"}
