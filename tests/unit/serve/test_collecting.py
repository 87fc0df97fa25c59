import asyncio
import gc
import weakref

import pytest

from outgate.serve import collecting


class Cycle:
    """Only a collection of garbage can remove it."""

    alive = 0

    def __init__(self) -> None:
        self.itself = self
        Cycle.alive += 1

    def __del__(self) -> None:
        Cycle.alive -= 1


async def _run(seconds: float, revision: list[int]) -> asyncio.Task[None]:
    task = asyncio.create_task(collecting.run(lambda: revision[0], seconds))
    await asyncio.sleep(0)
    return task


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_what_is_there_to_stay_is_not_looked_at_again() -> None:
    async def go() -> None:
        task = await _run(60, [1])
        kept = [Cycle() for _ in range(1000)]
        gc.collect()
        assert len(gc.get_objects()) < 1000
        assert gc.get_freeze_count() > 1000
        await _end(task)
        del kept

    asyncio.run(go())
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert Cycle.alive == 0


def test_garbage_that_was_set_aside_goes_in_a_quiet_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "QUIET_SECONDS", 0.1)

    async def go() -> None:
        revision = [1]
        task = await _run(0.05, revision)
        kept = [Cycle()]
        gone = asyncio.Event()
        weakref.finalize(kept[0], gone.set)
        gc.collect()
        kept.clear()
        for _ in range(20):
            revision[0] += 1
            await asyncio.sleep(0.02)
            assert Cycle.alive == 1, "it was collected while something changed"
        await asyncio.wait_for(gone.wait(), 5)
        await _end(task)

    asyncio.run(go())
