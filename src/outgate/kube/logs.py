"""Reads the egress log of a cluster: the lines of all egress pods, as one."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from outgate.errors import OutgateError
from outgate.kube import asking, naming
from outgate.kube import client as api
from outgate.kube.client import Client
from outgate.xds.log_lines import Wanted, time_of

CONTAINER = "envoy"
_LOOK_SECONDS = 3.0
_OVERLAP_SECONDS, _KEPT = 3, 1000
"""A log that is opened anew begins earlier than it broke off; so many of its lines are known by then."""


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of the log: `seconds` back (None: all), so many lines from the end (-1: all), and of whom."""

    wanted: Wanted
    seconds: int | None = None
    tail: int = -1


async def past(client: Client, part: Part) -> list[str]:
    """Return the lines that there are, by time."""
    return _last(await _all(client, part), part.tail)


def _last(lines: Mapping[str, list[str]], tail: int) -> list[str]:
    ordered = sorted((line for each in lines.values() for line in each), key=time_of)
    return ordered if tail < 0 else list(deque(ordered, maxlen=tail))


async def _all(client: Client, part: Part) -> dict[str, list[str]]:
    """Return the lines of each egress pod, as it wrote them."""
    found = await asking.ours(client, naming.EGRESS)
    names = [each["metadata"]["name"] for each in found if asking.runs(each)]
    # Where lines are left out, the server cannot know which are the last.
    tail = part.tail if part.wanted.everything and part.tail >= 0 else None
    lines = await asyncio.gather(*(_read(client, name, part, tail) for name in names))
    return dict(zip(names, lines, strict=True))


async def _read(client: Client, name: str, part: Part, tail: int | None) -> list[str]:
    lines = client.log(
        name,
        namespace=naming.SYSTEM_NAMESPACE,
        container=CONTAINER,
        since=part.seconds,
        tail_lines=tail,
    )
    return [each async for each in lines if part.wanted.has(each)]


async def follow(client: Client, part: Part, show: Callable[[str], None]) -> None:
    """Show the lines that there are, and then each as it comes, also those of egress pods that come later."""
    began = time.monotonic()
    before = await _all(client, part)
    for line in _last(before, part.tail):
        show(line)
    followed = _Followed(client, part.wanted)
    for name, lines in before.items():
        followed.read[name] = _ReadUp(deque(lines, maxlen=_KEPT), began)
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(followed.run())
        try:
            while True:
                show(await followed.lines.get())
        finally:
            looking.cancel()


@dataclass(slots=True, eq=False)
class _ReadUp:
    """What was read of a pod's log: the last lines, and until when."""

    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT))
    until: float | None = None

    def seconds(self) -> int | None:
        """Return how far back to begin, with some overlap; None: at the beginning."""
        if self.until is None:
            return None
        return int(time.monotonic() - self.until) + _OVERLAP_SECONDS


@dataclass(slots=True, eq=False)
class _Followed:
    client: Client
    wanted: Wanted
    lines: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(10_000))
    read: dict[str, _ReadUp] = field(default_factory=dict)

    async def run(self) -> None:
        """Follow each egress pod that there is, until cancelled."""
        tasks: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                with contextlib.suppress(*api.TROUBLE, OutgateError):
                    for pod in await asking.ours(self.client, naming.EGRESS):
                        name = pod["metadata"]["name"]
                        if asking.runs(pod) and (name not in tasks or tasks[name].done()):
                            tasks[name] = group.create_task(self._follow(name))
                await asyncio.sleep(_LOOK_SECONDS)

    async def _follow(self, name: str) -> None:
        read = self.read.setdefault(name, _ReadUp())
        # A line is written when a call ends, and has the time when it began: only the lines themselves tell.
        known = set(read.lines)
        lines = self.client.log(
            name,
            namespace=naming.SYSTEM_NAMESPACE,
            container=CONTAINER,
            since=read.seconds(),
            follow=True,
        )
        # A pod that goes takes its stream along.
        with contextlib.suppress(*api.TROUBLE):
            async for line in lines:
                if self.wanted.has(line) and line not in known:
                    read.lines.append(line)
                    await self.lines.put(line)
                read.until = time.monotonic()
