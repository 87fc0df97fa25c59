"""Holds the current snapshot for one kind of proxy, and tells the streams that follow it what changed."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from outgate.errors import EnvoyError, UnavailableError
from outgate.serve.stream import Stream
from outgate.serve.subscription import Refusal
from outgate.xds.snapshot import Resource, Snapshot


@dataclass(slots=True, eq=False)
class Follower:
    """One connected proxy; `wake` is set when there may be something to send to it."""

    node: str
    stream: Stream = field(default_factory=Stream)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    connected_at: float = 0.0


@dataclass(slots=True, eq=False)
class Publisher:
    """The snapshot, its revision, and who follows it; used from one event loop only."""

    snapshot: Snapshot = field(default_factory=Snapshot)
    revision: int = 0
    followers: set[Follower] = field(default_factory=set)
    _answered: asyncio.Event = field(default_factory=asyncio.Event)

    def publish(
        self, changed: Iterable[Resource] = (), removed: Iterable[tuple[str, str]] = ()
    ) -> int:
        """Change the snapshot and return its revision; proxies are sent the change as soon as they can take it."""
        changed, removed = tuple(changed), tuple(removed)
        if not changed and not removed:
            return self.revision
        self.snapshot = self.snapshot.replace(changed, removed)
        self.revision += 1
        names: dict[str, list[str]] = {}
        for type_url, name in (*((each.type_url, each.name) for each in changed), *removed):
            names.setdefault(type_url, []).append(name)
        for follower in self.followers:
            follower.stream.change(names)
            follower.wake.set()
        return self.revision

    def answered(self) -> None:
        """Let those that wait look again."""
        self._answered.set()
        self._answered = asyncio.Event()

    async def wait(self, revision: int, seconds: float) -> tuple[Refusal, ...]:
        """Wait until a proxy is connected, and all that are have answered for `revision`; return what they refuse.

        UnavailableError after `seconds`.
        """
        try:
            async with asyncio.timeout(seconds):
                while not self._is_answered(revision):
                    await self._answered.wait()
        except TimeoutError as error:
            reason = "did not answer in time" if self.followers else "is not connected"
            raise UnavailableError(f"Envoy {reason}", hint="outgate status") from error
        return tuple(each for follower in self.followers for each in follower.stream.refusals())

    async def wait_for(self, revision: int, names: Iterable[str], seconds: float) -> None:
        """Wait as `wait` does; EnvoyError if what is refused has one of `names`."""
        wanted = set(names)
        for refusal in await self.wait(revision, seconds):
            if wanted & set(refusal.names):
                raise EnvoyError(f"Envoy refused {', '.join(refusal.names)}: {refusal.message}")

    def _is_answered(self, revision: int) -> bool:
        return bool(self.followers) and all(
            each.stream.acknowledged() >= revision for each in self.followers
        )
