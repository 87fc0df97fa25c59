"""Tells the API server whom to trust when it asks the webhook: an authority that is younger than the manifests."""

import asyncio
import base64
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lightkube.types import PatchType

from outgate.kube import client as api
from outgate.kube import kinds, naming
from outgate.kube.client import Client
from outgate.kube.watching import Changes

_log = logging.getLogger(__name__)

_RETRY_SECONDS = 2.0


@dataclass(slots=True, eq=False)
class Trust:
    """Keeps `bundle` (PEM) in the webhook's configuration, whoever changes that."""

    client: Client
    bundle: bytes
    _found: Mapping[str, Any] | None = None
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def changed(self, changes: Changes) -> None:
        """Take in the configuration as it is now."""
        for item in changes.values():
            self._found = item
        self._wake.set()

    async def run(self) -> None:
        """Write what is missing or different, until cancelled."""
        while True:
            self._wake.clear()
            patch = self._patch()
            try:
                if patch:
                    await self.client.patch(
                        kinds.MUTATING_WEBHOOK, naming.WEBHOOK, patch, patch_type=PatchType.JSON
                    )
            except api.TROUBLE as error:
                _log.warning("cannot tell the API server whom to trust: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            await self._wake.wait()

    def _patch(self) -> list[dict[str, Any]]:
        wanted = base64.b64encode(self.bundle).decode()
        webhooks = (self._found or {}).get("webhooks") or ()
        found = [(each["name"], each["clientConfig"].get("caBundle")) for each in webhooks]
        changes: list[dict[str, Any]] = []
        for index, (name, bundle) in enumerate(found):
            if bundle != wanted:
                # The order may have changed meanwhile: then nothing is.
                changes.append({"op": "test", "path": f"/webhooks/{index}/name", "value": name})
                path = f"/webhooks/{index}/clientConfig/caBundle"
                changes.append({"op": "add", "path": path, "value": wanted})
        return changes
