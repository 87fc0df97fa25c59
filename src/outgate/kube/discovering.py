"""Follows all kinds of resources that declare something, as far as the cluster has them: definitions may come later.

It is asked again and again which there are. Whoever may ask the API server anything may ask that, and definitions
themselves, with their schemas, are large.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lightkube.generic_resource import create_namespaced_resource

from outgate.kube import client as api
from outgate.kube import plain
from outgate.kube.client import Client
from outgate.kube.kinds import READ, SERVICE, Kind
from outgate.kube.reports import number
from outgate.kube.watching import Changes, Follower
from outgate.resources import kinds

_log = logging.getLogger(__name__)

PAUSE_SECONDS = 5.0
"""How often it is asked; so a new definition is followed after that at the most."""

Served = Mapping[tuple[str, str], tuple[str, str]]
"""By group and kind: the version, and the plural by which the server knows it."""


def chosen(lists: Iterable[Mapping[str, Any]]) -> Served:
    """Return what to follow of what API resource lists (meta/v1) say; of several versions the first one listed."""
    known = {(group, kind) for group, kind, _ in kinds.declaring()}
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for each in lists:
        group, _, version = str(each.get("groupVersion", "")).rpartition("/")
        for resource in each.get("resources") or ():
            name, kind = str(resource.get("name", "")), str(resource.get("kind", ""))
            if "/" not in name and (group, kind) in known:
                found.setdefault((group, kind), (version, name))
    return found


@dataclass(slots=True, eq=False)
class Discovered:
    """A follower for each kind that there is; `take` is told of the kind, by its name, and of the changes."""

    client: Client
    take: Callable[[str, Changes], None]
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once all that there is was told for the first time."""
    services: Follower = field(init=False)
    _running: dict[tuple[str, str], tuple[tuple[str, str], Follower, asyncio.Task[None]]] = field(
        default_factory=dict
    )
    _names: dict[str, set[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Prepare to follow Services, which there always are."""
        self.services = self._follower(SERVICE, "Service")

    def versions(self) -> dict[str, int]:
        """Return up to which version of the API server's data each kind was told."""
        found = {key[1]: each for key, (_, each, _) in self._running.items()}
        followers = {"Service": self.services, **found}
        return {kind: number(each.version) for kind, each in followers.items()}

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.services.run())
            while True:
                begun = await self._look(group)
                if not self.synced.is_set() and begun is not None:
                    for each in (self.services, *begun):
                        await each.synced.wait()
                    self.synced.set()
                await asyncio.sleep(PAUSE_SECONDS)

    async def _look(self, group: asyncio.TaskGroup) -> list[Follower] | None:
        """Begin to follow what there is now, and end what there is no more; None if the server did not say."""
        try:
            served = chosen([found for each in _versions() if (found := await self._listed(each))])
        except api.TROUBLE as error:
            _log.warning("looking for kinds: %s", str(error) or type(error).__name__)
            return None
        for key in [key for key, (held, *_) in self._running.items() if served.get(key) != held]:
            self._running.pop(key)[2].cancel()
            self._forget(key[1])
        begun: list[Follower] = []
        for key, (version, plural) in served.items():
            if key not in self._running:
                follower = self._follower(_kind(key, version, plural), key[1])
                task = group.create_task(follower.run())
                self._running[key] = ((version, plural), follower, task)
                begun.append(follower)
        return begun

    async def _listed(self, version: str) -> Mapping[str, Any] | None:
        try:
            found = await plain.call(self.client, "GET", f"/apis/{version}")
        except api.TROUBLE as error:
            if api.code(error) == api.NOT_FOUND:
                return None
            raise
        return found if isinstance(found, Mapping) else None

    def _follower(self, kind: Kind, name: str) -> Follower:
        def take(changes: Changes) -> None:
            held = self._names.setdefault(name, set())
            held |= {each for each, item in changes.items() if item is not None}
            held -= {each for each, item in changes.items() if item is None}
            self.take(name, changes)

        return Follower(self.client, kind, take)

    def _forget(self, name: str) -> None:
        _log.info("%s is no longer a kind here", name)
        self.take(name, dict.fromkeys(self._names.pop(name, ())))


_made: dict[tuple[str, str, str], Kind] = {}
"""lightkube takes each only once."""


def _kind(key: tuple[str, str], version: str, plural: str) -> Kind:
    group, kind = key
    if (found := _made.get((group, version, kind))) is None:
        found = create_namespaced_resource(group, version, kind, plural, verbs=READ)
        _made[group, version, kind] = found
    return found


def kind_of(api_version: str, kind: str) -> Kind:
    """Return the class of a kind that is followed, or may be."""
    group, _, version = api_version.rpartition("/")
    return _kind((group, kind), version, kinds.plural(kind))


def _versions() -> list[str]:
    """Return all versions of groups in which there may be a kind, the preferred ones of each group first."""
    return list(
        dict.fromkeys(
            f"{group}/{each}" for group, _, versions in kinds.declaring() for each in versions
        )
    )
