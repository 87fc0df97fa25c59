"""Follows the pods of namespaces that have policies: those tell pods apart by labels and service accounts.

Pods elsewhere are none of our business. What is kept of a pod is what policies ask about.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from outgate.kube import kinds
from outgate.kube.client import Client, Scope
from outgate.kube.kinds import Item
from outgate.kube.watching import Changes, Follower
from outgate.model.names import Name
from outgate.model.workloads import Capture, Workload


def caller(item: Item) -> Workload:
    """Return a pod as policies see it."""
    metadata, spec = item["metadata"], item.get("spec") or {}
    labels = {str(key): str(value) for key, value in (metadata.get("labels") or {}).items()}
    return Workload(
        Name(metadata["namespace"], metadata["name"]),
        "",
        str(spec.get("serviceAccountName") or "default"),
        MappingProxyType(labels),
        Capture.SIDECAR,
    )


@dataclass(slots=True, eq=False)
class Callers:
    """`take` is told of a namespace and all of its pods; those with a policy are followed."""

    client: Client
    take: Callable[[str, tuple[Workload, ...]], None]
    _wanted: frozenset[str] = frozenset()
    _pods: dict[str, Mapping[Name, Workload]] = field(default_factory=dict)
    _running: dict[str, tuple[Follower, asyncio.Task[None]]] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _begun: asyncio.Event = field(default_factory=asyncio.Event)

    def want(self, namespaces: Iterable[str]) -> None:
        """Have the pods of these namespaces, and no others, followed from now on."""
        wanted = frozenset(namespaces)
        if wanted != self._wanted:
            self._wanted = wanted
            self._wake.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                for name in self._running.keys() - self._wanted:
                    self._running.pop(name)[1].cancel()
                    self._pods.pop(name, None)
                for name in self._wanted - self._running.keys():
                    follower = self._follower(name)
                    self._running[name] = (follower, group.create_task(follower.run()))
                self._begun.set()
                await self._wake.wait()
                self._wake.clear()

    async def settled(self) -> None:
        """Wait until the pods of all that is wanted were told once: without them policies deny what they allow."""
        while self._wanted - self._running.keys():
            self._begun.clear()
            await self._begun.wait()
        for follower, _ in list(self._running.values()):
            await follower.synced.wait()

    def _follower(self, namespace: str) -> Follower:
        def changed(changes: Changes) -> None:
            now = dict(self._pods.get(namespace, {}))
            for name, item in changes.items():
                now.pop(name, None)
                if item is not None:
                    now[name] = caller(item)
            if now != self._pods.get(namespace):
                self._pods[namespace] = now
                self.take(namespace, tuple(now[name] for name in sorted(now)))

        return Follower(self.client, kinds.POD, changed, Scope(namespace))
