"""Gives each namespace what its pods need before they can ask: whom to trust, and what is inside the cluster."""

import asyncio
import logging
from dataclasses import dataclass, field

from lightkube.models.meta_v1 import ObjectMeta, OwnerReference
from lightkube.resources.core_v1 import ConfigMap

from outgate.inject import bootstrap
from outgate.kube import client as api
from outgate.kube import naming
from outgate.kube.client import Client
from outgate.kube.watching import Changes
from outgate.model.names import Name

_log = logging.getLogger(__name__)

MANAGER = "outgate-controller"
LABELS = {"app.kubernetes.io/managed-by": MANAGER}
_RETRY_SECONDS = 2.0


@dataclass(slots=True, eq=False)
class Namespaces:
    """Writes one ConfigMap into each namespace, and again when somebody changes or removes it."""

    client: Client
    data: dict[str, str]
    """What the ConfigMap is to hold; empty as long as that is not known."""
    active: set[str] = field(default_factory=set)
    owner: str = ""
    """The UID of our own namespace: with that, however it goes, the API server takes the ConfigMaps away."""
    found: dict[str, tuple[dict[str, str], str]] = field(default_factory=dict)
    """What is there, and whose UID its owner has."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def namespaces(self, changes: Changes) -> None:
        """Take in namespaces that came and went; in one that is going nothing can be made."""
        for name, item in changes.items():
            if item is not None and name.name == naming.SYSTEM_NAMESPACE:
                self.owner = item["metadata"]["uid"]
            if item is None or (item.get("status") or {}).get("phase") == "Terminating":
                self.active.discard(name.name)
            else:
                self.active.add(name.name)
        self._wake.set()

    def maps(self, changes: Changes) -> None:
        """Take in the ConfigMaps that there are."""
        for name, item in changes.items():
            if name.name != bootstrap.MESH_MAP:
                continue
            if item is None:
                self.found.pop(name.namespace, None)
            else:
                owners = item["metadata"].get("ownerReferences") or [{"uid": ""}]
                self.found[name.namespace] = (item.get("data") or {}, owners[0]["uid"])
        self._wake.set()

    def hold(self, key: str, value: str) -> None:
        """Change what the ConfigMaps are to hold."""
        if self.data.get(key) != value:
            self.data[key] = value
            self._wake.set()

    async def run(self, complete: asyncio.Event) -> None:
        """Write what is missing or different, until cancelled; begin when `complete` is set."""
        await complete.wait()
        while True:
            self._wake.clear()
            failed = False
            for namespace in sorted(self.active):
                if self.found.get(namespace) != (self.data, self.owner):
                    failed |= not await self._write(namespace)
            if failed:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                await self._wake.wait()

    async def _write(self, namespace: str) -> bool:
        owner = OwnerReference("v1", "Namespace", naming.SYSTEM_NAMESPACE, self.owner)
        metadata = ObjectMeta(
            name=bootstrap.MESH_MAP, namespace=namespace, labels=LABELS, ownerReferences=[owner]
        )
        wanted = dict(self.data)
        try:
            await self.client.apply(
                ConfigMap(metadata=metadata, data=wanted), field_manager=MANAGER, force=True
            )
        except api.TROUBLE as error:
            # The namespace may be going at this moment, which its own event will say.
            if api.code(error) not in (api.NOT_FOUND, 403):
                _log.warning("cannot write %s: %s", Name(namespace, bootstrap.MESH_MAP), error)
            return False
        self.found[namespace] = (wanted, self.owner)
        return True
