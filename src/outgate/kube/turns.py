"""Lets few do something at a time, and of each caller fewer still, so that one that floods waits behind itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from outgate.errors import UnavailableError


@dataclass(slots=True)
class _Caller:
    free: asyncio.Semaphore
    users: int = 0


@dataclass(slots=True, eq=False)
class Turns:
    """`in_all` at a time, `of_each` caller, of whom at most `most` wait; used from one event loop only."""

    in_all: int
    of_each: int
    most: int
    _free: asyncio.Semaphore = field(init=False)
    _callers: dict[str, _Caller] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make room for `in_all`."""
        self._free = asyncio.Semaphore(self.in_all)

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Have a turn for the time of a `with` block; UnavailableError if too many of this caller wait already."""
        caller = self._callers.setdefault(key, _Caller(asyncio.Semaphore(self.of_each)))
        if caller.users >= self.most:
            raise UnavailableError("too many of the same caller wait: try again")
        caller.users += 1
        try:
            # In this order, so that a caller has no more than its share in the common queue, too.
            async with caller.free, self._free:
                yield
        finally:
            caller.users -= 1
            if not caller.users:
                self._callers.pop(key, None)
