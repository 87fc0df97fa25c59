import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import httpx2
from lightkube import ApiError

from outgate.kube.electing import Elector
from outgate.kube.elections import LEASE_SECONDS, RENEW_SECONDS, Election

WALL = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)


class Store:
    """The Lease, as an API server keeps it."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None

    def attempt(self, who: Election, now: float, wall: datetime = WALL) -> bool:
        """Let one read and write without a fault, and return whether it leads."""
        if (spec := who.next(self.lease, now, wall)) is not None:
            self.lease = {"spec": spec}
            who.written(now)
        return who.leads(now)


def test_who_comes_first_leads_for_as_long_as_it_renews() -> None:
    store, one, two = Store(), Election("one"), Election("two")
    for now in range(0, 100, 2):
        wall = datetime.fromtimestamp(now, UTC)
        assert store.attempt(one, now, wall)
        assert not store.attempt(two, now + 1)
    assert store.lease is not None
    assert store.lease["spec"]["holderIdentity"] == "one"
    assert store.lease["spec"]["leaseTransitions"] == 0
    assert store.lease["spec"]["acquireTime"] == "1970-01-01T00:00:00.000000Z"
    assert store.lease["spec"]["renewTime"] == "1970-01-01T00:01:38.000000Z"


def test_one_that_is_killed_is_followed_after_its_lease_was_seen_unchanged() -> None:
    store, one, two = Store(), Election("one"), Election("two")
    store.attempt(one, 0)
    assert not store.attempt(two, 1)
    assert not store.attempt(two, LEASE_SECONDS)
    assert store.attempt(two, 1 + LEASE_SECONDS)
    assert store.lease is not None
    assert store.lease["spec"]["leaseTransitions"] == 1


def test_clocks_that_are_wrong_change_nothing() -> None:
    for year in (1999, 2099):
        store, one, two = Store(), Election("one"), Election("two")
        store.attempt(one, 0, WALL.replace(year=year))
        # Their monotonic clocks have nothing in common either.
        assert not store.attempt(two, 5000)
        assert not store.attempt(two, 5000 + LEASE_SECONDS - 0.1)
        assert store.attempt(two, 5000 + LEASE_SECONDS)


def test_who_cannot_renew_stops_before_another_may_begin() -> None:
    store, one, two = Store(), Election("one"), Election("two")
    store.attempt(one, 0)
    store.attempt(two, 0)
    # The server does not answer the one any more.
    assert one.leads(RENEW_SECONDS - 0.1)
    assert not one.leads(RENEW_SECONDS)
    assert not store.attempt(two, LEASE_SECONDS - 0.1)
    assert store.attempt(two, LEASE_SECONDS)
    assert not one.leads(LEASE_SECONDS)


def test_time_counts_from_when_writing_began() -> None:
    """What was written took long; others may have seen it at once."""
    one = Election("one")
    assert one.next(None, 0, WALL) is not None
    one.written(0)
    assert not one.leads(RENEW_SECONDS)


def test_who_was_overtaken_stops() -> None:
    store, one, two = Store(), Election("one"), Election("two")
    store.attempt(one, 0)
    store.lease = {"spec": {"holderIdentity": "two", "leaseDurationSeconds": LEASE_SECONDS}}
    assert not store.attempt(one, 2)
    # It is told so by the server too: what it would write is of an old version.
    store.attempt(two, 0)
    two.lost()
    assert not two.leads(1)


def test_one_that_is_released_is_free_at_once() -> None:
    store, one, two = Store(), Election("one"), Election("two")
    store.attempt(one, 0)
    store.attempt(two, 0.5)
    spec = one.released(store.lease, WALL)
    assert spec is not None
    store.lease = {"spec": spec}
    assert not one.leads(1)
    assert store.attempt(two, 1)
    # Nobody gives away what is another's.
    assert one.released(store.lease, WALL) is None


def test_a_container_that_starts_anew_goes_on() -> None:
    store, one = Store(), Election("one")
    store.attempt(one, 0)
    assert store.attempt(Election("one"), 3)


class Kept:
    """The one Lease, as lightkube's client reads and writes it."""

    def __init__(self) -> None:
        self.lease: Any = None

    async def get(self, *_: object, **__: object) -> Any:
        if self.lease is None:
            request = httpx2.Request("GET", "http://x")
            answer = {"kind": "Status", "code": 404}
            raise ApiError(request=request, response=httpx2.Response(404, json=answer))
        return self.lease

    async def create(self, lease: Any) -> None:
        self.lease = dict(lease)

    replace = create


async def test_one_that_stops_lets_another_begin_at_once() -> None:
    kept, complete = Kept(), asyncio.Event()
    complete.set()
    one, two = (Elector(cast("Any", kept), name) for name in ("one", "two"))
    async with asyncio.TaskGroup() as group:
        first = group.create_task(one.run(complete))
        await asyncio.wait_for(one.changed.wait(), 5)
        one.stopping.set()
        # Nobody cancels it: its replica goes on for its proxies.
        await asyncio.wait_for(first, 1)
        assert not one.leads()
        second = group.create_task(two.run(complete))
        await asyncio.wait_for(two.changed.wait(), 1)
        second.cancel()
