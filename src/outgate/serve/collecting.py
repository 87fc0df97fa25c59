"""Keeps Python's garbage collector from standing in the way of a change.

With thousands of services a full collection looks at a million objects that are there to stay, which takes up to
a quarter of a second, and comes when something was just allocated: while a change is programmed. So what has
survived one is not looked at again, until a quiet moment.
"""

import asyncio
import gc
from collections.abc import Callable
from typing import Any

SECONDS = 600.0
"""How often everything is looked at, as what was set aside may have become garbage in a cycle since."""
QUIET_SECONDS = 1.0


async def run(revision: Callable[[], int], seconds: float = SECONDS) -> None:
    """Collect while nothing changes, until cancelled; `revision` is another number after each change."""
    gc.callbacks.append(_set_aside)
    try:
        gc.freeze()
        while True:
            await asyncio.sleep(seconds)
            before = -1
            while before != revision():
                before = revision()
                await asyncio.sleep(QUIET_SECONDS)
            gc.unfreeze()
            gc.collect()
    finally:
        gc.callbacks.remove(_set_aside)
        gc.unfreeze()


def _set_aside(phase: str, info: dict[str, Any]) -> None:
    if phase == "stop" and info["generation"] == 2:
        gc.freeze()
