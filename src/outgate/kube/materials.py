"""Reads the Secrets and ConfigMaps that resources name: each by its name, and no other.

The controller may do so where somebody has given it the right, namespace by namespace (`rights.MATERIALS`).
"""

import asyncio
import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from outgate.kube import kinds, naming
from outgate.kube.client import Client, Scope
from outgate.kube.kinds import Item, Kind
from outgate.kube.rights import MATERIALS
from outgate.kube.watching import Changes, Follower
from outgate.traffic.references import ConfigMapKey, FileKey, Material, SecretKey

REFUSED = (
    "the controller may not read it: kubectl create rolebinding outgate-materials --namespace {namespace}"
    f" --clusterrole={MATERIALS} --serviceaccount={naming.SYSTEM_NAMESPACE}:{naming.CONTROLLER}"
)
TAKEN_SECONDS = 20.0
"""How long an API server refuses what it has shown until that counts as taken away: one that begins knows no rights."""
Values = Mapping[Material, bytes | None]
_Held = tuple[type[SecretKey] | type[ConfigMapKey], str, str]
_KINDS: Mapping[type[SecretKey] | type[ConfigMapKey], Kind] = {
    SecretKey: kinds.SECRET,
    ConfigMapKey: kinds.CONFIG_MAP,
}


@dataclass(slots=True, eq=False)
class Fetched:
    """Follows what is wanted; `take` is told what each entry holds."""

    client: Client
    take: Callable[[Values], None]
    closed: Callable[[Mapping[Material, str]], None]
    """Told of what may not be read, and what to do about it."""
    _wanted: dict[_Held, set[Material]] = field(default_factory=dict)
    _items: dict[_Held, Item | None] = field(default_factory=dict, repr=False)
    _running: dict[_Held, tuple[Follower, asyncio.Task[None]]] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _begun: asyncio.Event = field(default_factory=asyncio.Event)

    def want(self, materials: Iterable[Material]) -> None:
        """Have these, and no others, followed from now on."""
        wanted: dict[_Held, set[Material]] = {}
        for each in materials:
            if not isinstance(each, FileKey):
                wanted.setdefault((type(each), each.namespace, each.name), set()).add(each)
        if wanted == self._wanted:
            return
        before, self._wanted = self._wanted, wanted
        for held, entries in wanted.items():
            if entries != before.get(held) and held in self._items:
                self._tell(held)
        self._wake.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                for held in self._running.keys() - self._wanted.keys():
                    self._running.pop(held)[1].cancel()
                    self._items.pop(held, None)
                for held in self._wanted.keys() - self._running.keys():
                    follower = self._follower(held)
                    self._running[held] = (follower, group.create_task(follower.run()))
                self._begun.set()
                await self._wake.wait()
                self._wake.clear()

    async def settled(self) -> None:
        """Wait until it is known of all that is wanted what it holds, or that it may not be read.

        An egress that has a credential would be told to go on without it.
        """
        while self._wanted.keys() - self._running.keys():
            self._begun.clear()
            await self._begun.wait()
        for follower, _ in list(self._running.values()):
            await follower.answered.wait()

    def _follower(self, held: _Held) -> Follower:
        kind, namespace, name = held
        refused: list[float] = []

        def changed(changes: Changes) -> None:
            refused.clear()
            self._items[held] = next((each for each in changes.values() if each is not None), None)
            self._tell(held)

        def forbidden() -> None:
            wanted = self._wanted.get(held, set())
            now = asyncio.get_running_loop().time()
            if not refused:
                refused.append(now)
            if now - refused[0] >= TAKEN_SECONDS and self._items.pop(held, None) is not None:
                self.take(dict.fromkeys(wanted))
            self.closed(dict.fromkeys(wanted, REFUSED.format(namespace=namespace)))

        scope = Scope(namespace, fields={"metadata.name": name})
        return Follower(self.client, _KINDS[kind], changed, scope, forbidden=forbidden)

    def _tell(self, held: _Held) -> None:
        entries = values(self._items[held], held[0])
        wanted = self._wanted.get(held, set())
        self.take({each: entries.get(each.key) for each in wanted if not isinstance(each, FileKey)})


def values(item: Item | None, kind: type[SecretKey] | type[ConfigMapKey]) -> dict[str, bytes]:
    """Return what a Secret or ConfigMap holds, by entry; what is not base64 where it has to be is left out."""
    if item is None:
        return {}
    data = item.get("data") or {}
    if kind is SecretKey:
        return _decoded(data)
    plain = {key: str(value).encode() for key, value in data.items()}
    return plain | _decoded(item.get("binaryData") or {})


def _decoded(entries: Mapping[str, str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for key, value in entries.items():
        try:
            found[key] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError, TypeError):
            continue
    return found
