"""Follows all objects of a kind: a list, then what changes, for as long as the process lives.

What is kept here is the names alone, so that memory does not grow with what objects hold.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from outgate.kube import client as api
from outgate.kube.client import Client, Scope
from outgate.kube.kinds import Item, Kind
from outgate.model.names import Name

_log = logging.getLogger(__name__)

Changes = Mapping[Name, Item | None]
"""Objects by name, as they are now; None: gone."""

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0


def name_of(item: Item) -> Name:
    """Return an object's name; one that is in no namespace has an empty one."""
    return Name(item["metadata"].get("namespace", ""), item["metadata"]["name"])


@dataclass(slots=True, eq=False)
class Follower:
    """Tells `changed` of all objects of a kind; the first time of all that there are, and then sets `synced`."""

    client: Client
    kind: Kind
    changed: Callable[[Changes], None]
    scope: Scope = field(default_factory=Scope)
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    forbidden: Callable[[], None] = lambda: None
    """Called each time the server refuses to show them."""
    absent: asyncio.Event = field(default_factory=asyncio.Event)
    """Set if the server does not know the kind; it is asked again all the same."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the server has told what there is, or that it may not be known."""
    lists: int = 0
    """How often everything was listed: that it does not grow shows that watches go on."""
    _names: set[Name] = field(default_factory=set)
    _version: str = ""
    _pause: float = FIRST_PAUSE
    _refused: str = ""
    """With which words it was last forbidden, until it is allowed."""

    async def run(self) -> None:
        """Follow until cancelled; while the server is away, what was told stays as it is."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except api.TROUBLE as error:
                if api.code(error) == api.GONE:
                    # Changes were missed: only a list can tell.
                    self._version = ""
                    continue
                self._warn(error)
                if api.code(error) == api.FORBIDDEN:
                    # Once it may be known again, a watch would tell of changes alone.
                    self._version = ""
                    self.forbidden()
                await asyncio.sleep(self._pause * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret
                self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _warn(self, error: Exception) -> None:
        """Log what went wrong; once what is forbidden, as that may be so for ever."""
        why = str(error) or type(error).__name__
        if why != self._refused:
            _log.warning("following %s: %s", self._what(), why)
        self._refused = why if api.code(error) == api.FORBIDDEN else ""

    async def _list(self) -> None:
        items, version = await self._listed()
        self.lists += 1
        found: dict[Name, Item | None] = {}
        for each in items:
            if (name := self._name(each)) is not None:
                found[name] = each
        gone = {name: None for name in self._names if name not in found}
        self._names = set(found)
        self._tell(found | gone)
        self._version, self._pause, self._refused = version, FIRST_PAUSE, ""
        self.synced.set()
        self.answered.set()

    async def _listed(self) -> tuple[list[Item], str]:
        try:
            return await api.listed(self.client, self.kind, self.scope)
        except api.TROUBLE as error:
            if api.code(error) in (api.NOT_FOUND, api.FORBIDDEN):
                self.answered.set()
            if api.code(error) != api.NOT_FOUND or self.absent.is_set():
                raise
            _log.warning("this Kubernetes has no %s", self._what())
            self.absent.set()
            # So there are none: who waits for all there is need not wait any longer.
            self.synced.set()
            raise

    async def _watch(self) -> None:
        events = api.follow(self.client, self.kind, self.scope, self._version)
        async for event, item in events:
            self._version, self._pause = item["metadata"]["resourceVersion"], FIRST_PAUSE
            if event == "BOOKMARK" or (name := self._name(item)) is None:
                continue
            if event == "DELETED":
                self._names.discard(name)
                self._tell({name: None})
            else:
                self._names.add(name)
                self._tell({name: item})

    def _name(self, item: Any) -> Name | None:
        try:
            return name_of(item)
        except (LookupError, TypeError, AttributeError):
            _log.warning("following %s: passed over an object without a name", self._what())
            return None

    def _tell(self, changes: Changes) -> None:
        """Pass changes on; an object that cannot be taken in is a problem of that object alone."""
        try:
            self.changed(changes)
        except Exception as error:
            if len(changes) > 1:
                for name, item in changes.items():
                    self._tell({name: item})
                return
            said = (self._what(), *changes, type(error).__name__, error)
            _log.error("%s %s cannot be taken in: %s: %.300s", *said)

    @property
    def version(self) -> str:
        """Up to which version of the API server's data everything was told."""
        return self._version

    def _what(self) -> str:
        return str(self.kind.__name__)
