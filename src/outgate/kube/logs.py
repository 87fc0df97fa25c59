"""Reads the egress log of a cluster: the lines of all egress pods, as one."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from outgate.errors import OutgateError
from outgate.kube import asking, naming
from outgate.kube import client as api
from outgate.kube.client import Client
from outgate.xds.log_lines import Wanted, time_of

CONTAINER = "envoy"
_QUIET_SECONDS = 0.5
"""When so long nothing came, all that was there before is taken to be read."""
_LOOK_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of the log: `seconds` back (None: all), so many lines from the end (-1: all), and of whom."""

    wanted: Wanted
    seconds: int | None = None
    tail: int = -1


async def past(client: Client, part: Part) -> list[str]:
    """Return the lines that there are, by time."""
    found = await asking.ours(client, naming.EGRESS)
    # Where lines are left out, the server cannot know which are the last.
    tail = part.tail if part.wanted.everything and part.tail >= 0 else None
    read = (_read(client, each, part, tail) for each in found if asking.runs(each))
    lines = [line for lines in await asyncio.gather(*read) for line in lines]
    return _last(lines, part.tail)


def _last(lines: list[str], tail: int) -> list[str]:
    ordered = sorted(lines, key=time_of)
    return ordered if tail < 0 else list(deque(ordered, maxlen=tail))


async def _read(client: Client, pod: Mapping[str, Any], part: Part, tail: int | None) -> list[str]:
    lines = client.log(
        pod["metadata"]["name"],
        namespace=naming.SYSTEM_NAMESPACE,
        container=CONTAINER,
        since=part.seconds,
        tail_lines=tail,
    )
    return [each async for each in lines if part.wanted.has(each)]


async def follow(client: Client, part: Part, show: Callable[[str], None]) -> None:
    """Show the lines that there are, and then each as it comes, also those of egress pods that come later."""
    followed = _Followed(client, part)
    await asking.ours(client, naming.EGRESS)
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(followed.run())
        try:
            for line in await followed.first():
                show(line)
            while True:
                show(await followed.lines.get())
        finally:
            looking.cancel()


@dataclass(slots=True, eq=False)
class _Followed:
    client: Client
    part: Part
    lines: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(10_000))
    latest: dict[str, str] = field(default_factory=dict)
    """By pod, when its last line was: a log that is opened anew begins where it broke off."""

    async def first(self) -> list[str]:
        """Return what was there before, by time."""
        found: list[str] = []
        with contextlib.suppress(TimeoutError):
            while True:
                async with asyncio.timeout(_QUIET_SECONDS):
                    found.append(await self.lines.get())
        return _last(found, self.part.tail)

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
        last = self.latest.get(name, "")
        lines = self.client.log(
            name,
            namespace=naming.SYSTEM_NAMESPACE,
            container=CONTAINER,
            since=None if last else self.part.seconds,
            follow=True,
        )
        # A pod that goes takes its stream along.
        with contextlib.suppress(*api.TROUBLE):
            async for line in lines:
                if self.part.wanted.has(line) and (at := time_of(line)) > last:
                    self.latest[name] = at
                    await self.lines.put(line)
