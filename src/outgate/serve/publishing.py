"""The current snapshot for one kind of proxy, and the streams that follow it."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from outgate.errors import EnvoyError, UnavailableError
from outgate.serve.stream import Stream
from outgate.serve.subscription import Refusal
from outgate.xds.snapshot import Resource, Snapshot


def version_of(node: Any) -> str:
    """Return which version of Envoy a node (config.core.v3.Node) says it is."""
    built = node.user_agent_build_version.version
    return f"{built.major_number}.{built.minor_number}.{built.patch}"


@dataclass(frozen=True, slots=True)
class Nack:
    """What a proxy refused last: the type, its words, and when, by the monotonic clock."""

    type_url: str
    message: str
    at: float


@dataclass(slots=True, eq=False)
class Follower:
    """One connected proxy; `wake` is set when there may be something to send to it."""

    node: str
    stream: Stream = field(default_factory=Stream)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to end the stream; the proxy keeps what it has, and connects again."""
    connected_at: float = 0.0
    envoy: str = ""
    """Which version of Envoy it says it is."""
    nack: Nack | None = None


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
        """Change the snapshot, wake the streams that follow it, and return its revision."""
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
        """Wait until a proxy is connected, and all that are have answered for `revision`.

        Returns what they refuse at present. UnavailableError after `seconds`.
        """
        await self._until(lambda stream: stream.acknowledged() >= revision, seconds)
        return self._refusals()

    async def wait_for(self, revision: int, names: Iterable[str], seconds: float) -> None:
        """Wait until a proxy is connected, and all that are have answered for `names`.

        Others may still be open: Envoy does not answer for clusters before it has resolved the
        names in them. EnvoyError if one of `names` is refused, UnavailableError after `seconds`.
        """
        wanted = frozenset(names)

        def is_done(stream: Stream) -> bool:
            return stream.acknowledged() >= revision or stream.is_settled(wanted, self.snapshot)

        await self._until(is_done, seconds)
        for refusal in self._refusals():
            if not wanted.isdisjoint(refusal.names):
                raise EnvoyError(f"Envoy refused {', '.join(refusal.names)}: {refusal.message}")

    async def _until(self, is_done: Callable[[Stream], bool], seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not self.followers or not all(
                    is_done(each.stream) for each in self.followers
                ):
                    await self._answered.wait()
        except TimeoutError as error:
            reason = "did not answer in time" if self.followers else "is not connected"
            raise UnavailableError(f"Envoy {reason}", hint="outgate status") from error

    def _refusals(self) -> tuple[Refusal, ...]:
        return tuple(each for follower in self.followers for each in follower.stream.refusals())
