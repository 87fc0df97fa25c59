"""How often the API server is asked about tokens, whoever sends what."""

import asyncio
import time
from collections.abc import Callable

import pytest
from tests.unit.kube.conftest import Judge, MakeToken

from outgate.errors import UnavailableError
from outgate.kube import reviews
from outgate.kube.reviews import Reviews

Known = Callable[..., str]


async def flood(own: Reviews, address: str, tokens: list[str]) -> list[object]:
    return await asyncio.gather(
        *(own.caller(each, address) for each in tokens), return_exceptions=True
    )


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "junk",
        "a.b.c",
        "e30.e30.e30",
        "e30.W10.e30",
        "e30." + "W1tb" * 2000 + ".e30",
        "e30.////.e30",
    ],
)
async def test_what_is_no_token_for_us_is_refused_without_asking(judge: Judge, junk: str) -> None:
    assert await Reviews(judge.ask).caller(junk, "a") is None
    assert judge.asked == []


async def test_nor_is_it_asked_about_a_token_for_something_else(
    judge: Judge, token: MakeToken
) -> None:
    own = Reviews(judge.ask)
    for other in (token(aud=["api"]), token(aud="outgate-other"), token(**{"kubernetes.io": {}})):
        assert await own.caller(other, "a") is None
    assert judge.asked == []
    assert await own.caller(token(), "a") is None
    assert len(judge.asked) == 1


async def test_a_flood_of_junk_costs_the_api_server_little(judge: Judge, token: MakeToken) -> None:
    own = Reviews(judge.ask, clock=lambda: 0.0)
    judge.seconds = 0.001
    answers = await flood(own, "hostile", [token() for _ in range(1000)])
    assert len(judge.asked) <= reviews.REFUSALS + reviews.OF_AN_ADDRESS
    assert judge.most <= reviews.OF_AN_ADDRESS
    assert {type(each) for each in answers} == {type(None), UnavailableError}


async def test_nor_does_it_keep_proxies_of_other_addresses_waiting(
    judge: Judge, token: MakeToken, known: Known
) -> None:
    own = Reviews(judge.ask)
    judge.seconds = 0.02
    async with asyncio.TaskGroup() as group:
        group.create_task(flood(own, "hostile", [token() for _ in range(500)]))
        await asyncio.sleep(0.01)
        began = time.monotonic()
        mine = known("mine")
        assert await own.caller(mine, "good") == judge.known[mine]
        assert time.monotonic() - began < 0.1


async def test_many_at_once_are_asked_about_a_few_at_a_time(judge: Judge, known: Known) -> None:
    own = Reviews(judge.ask)
    judge.seconds = 0.001
    tokens = [known(f"pod-{number}") for number in range(200)]
    found = await asyncio.gather(*(own.caller(each, each) for each in tokens))
    assert [each and each.pod.name for each in found] == [f"pod-{n}" for n in range(200)]
    assert judge.most <= reviews.AT_A_TIME


async def test_after_a_while_an_address_may_try_again(judge: Judge, token: MakeToken) -> None:
    now = [0.0]
    own = Reviews(judge.ask, clock=lambda: now[0])
    await flood(own, "a", [token() for _ in range(50)])
    with pytest.raises(UnavailableError):
        await own.caller(token(), "a")
    now[0] += 1.1
    assert await own.caller(token(), "a") is None


async def test_answers_are_remembered_for_seconds_only(judge: Judge, known: Known) -> None:
    now = [0.0]
    own = Reviews(judge.ask, clock=lambda: now[0])
    mine = known("mine")
    caller = judge.known.pop(mine)
    assert await own.caller(mine, "a") is None
    judge.known[mine] = caller
    assert await own.caller(mine, "a") is None
    now[0] += reviews.REMEMBERED_SECONDS + 0.1
    assert await own.caller(mine, "a") == caller
    del judge.known[mine]
    assert await own.caller(mine, "a") == caller
    assert len(judge.asked) == 2
    now[0] += reviews.REMEMBERED_SECONDS + 0.1
    assert await own.caller(mine, "a") is None


async def test_that_nobody_could_be_asked_is_not_remembered(judge: Judge, known: Known) -> None:
    own = Reviews(judge.ask)
    mine = known("mine")
    judge.down = True
    with pytest.raises(UnavailableError):
        await own.caller(mine, "a")
    judge.down = False
    assert await own.caller(mine, "a") == judge.known[mine]


async def test_what_is_kept_of_strangers_has_bounds(judge: Judge, token: MakeToken) -> None:
    own = Reviews(judge.ask)
    for number in range(5000):
        await own.caller(token(), f"address-{number}")
    assert len(own._known) <= 4096
    assert len(own._refusals._buckets) <= 4096
    assert own._turns._callers == {}


async def test_a_stream_ends_when_the_api_server_says_no(
    judge: Judge, known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviews, "RETRY_SECONDS", 0.05)
    own = Reviews(judge.ask, every=0.05)
    mine = known("mine")
    caller = judge.known[mine]
    waiting = asyncio.ensure_future(own.until_refused(mine, caller))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    judge.down = True
    del judge.known[mine]
    asked = len(judge.asked)
    await asyncio.sleep(0.3)
    assert len(judge.asked) > asked
    assert not waiting.done(), "a stream must go on while nobody can be asked"
    judge.down = False
    assert "proves its pod no more" in await asyncio.wait_for(waiting, 5)


async def test_a_token_is_judged_again_when_it_expires(
    judge: Judge, token: MakeToken, known: Known
) -> None:
    own = Reviews(judge.ask, every=3600)
    assert 600 < own._pause(token(exp=time.time() + 600)) < 620
    assert 0 < own._pause(token(exp=time.time() - 600)) < 30
    assert 2600 < own._pause(token(exp=time.time() + 1e6)) < 4600
    # A pod of the same name, made anew, is another one.
    mine = known("mine")
    judge.known[mine], old = judge.known[known("mine2")], judge.known[mine]
    own.every = 0.01
    assert await asyncio.wait_for(own.until_refused(mine, old), 5)
