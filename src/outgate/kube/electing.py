"""Takes part in the election of the one replica that writes; the rules are in `elections`."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from outgate.kube import client as api
from outgate.kube import kinds, naming
from outgate.kube.client import Client
from outgate.kube.elections import RETRY_SECONDS, Election

_log = logging.getLogger(__name__)

CALL_SECONDS = 4.0
"""What a leader's call may take: less than what lies between the end of its time and another's beginning."""


@dataclass(slots=True, eq=False)
class Elector:
    """One replica's part in the election; `clock` is monotonic, in seconds."""

    client: Client
    identity: str
    lease: str = naming.LEADER_LEASE
    clock: Callable[[], float] = time.monotonic
    leader: str = ""
    """Who led when it was last seen."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when this replica begins to lead."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to let another begin: proxies leave this one, which then hears from them no more."""
    _election: Election = field(init=False)

    def __post_init__(self) -> None:
        """Begin as one who does not lead."""
        self._election = Election(self.identity)

    def leads(self) -> bool:
        """Whether this replica may write at this moment."""
        return self._election.leads(self.clock())

    async def run(self, complete: asyncio.Event) -> None:
        """Take part until cancelled or `stopping`, then let another begin; who has not read everything does not."""
        await complete.wait()
        try:
            while not self.stopping.is_set():
                await self._try()
                pause = RETRY_SECONDS * random.uniform(1.0, 1.2)  # noqa: S311 - not a secret
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self.stopping.wait()
        finally:
            await self._release()

    async def _try(self) -> None:
        led = self.leads()
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._take()
        except TimeoutError:
            _log.warning("the API server does not answer about the Lease %s", self.lease)
        except api.TROUBLE as error:
            if api.code(error) == api.CONFLICT:
                # Another one was faster; what it wrote is seen at the next try.
                self._election.lost()
            else:
                _log.warning("the Lease %s: %s", self.lease, error or type(error).__name__)
        if self.leads() != led:
            _log.info("%s to lead: it is %s that writes", "ceased" if led else "began", self.leader)
        if self.leads() and not led:
            self.changed.set()

    async def _take(self) -> None:
        found = await self._read()
        self.leader = ((found or {}).get("spec") or {}).get("holderIdentity") or ""
        begun = self.clock()
        if (spec := self._election.next(found, begun, datetime.now(UTC))) is not None:
            await self._write(found, spec)
            self._election.written(begun)
            self.leader = self.identity

    async def _read(self) -> dict[str, Any] | None:
        try:
            found = await self.client.get(
                kinds.LEASE, self.lease, namespace=naming.SYSTEM_NAMESPACE
            )
        except api.ApiError as error:
            if api.code(error) == api.NOT_FOUND:
                return None
            raise
        return dict(found)

    async def _write(self, found: dict[str, Any] | None, spec: dict[str, Any]) -> None:
        place = {"name": self.lease, "namespace": naming.SYSTEM_NAMESPACE}
        # With the version that was read: if it was changed since, nothing is written.
        lease = kinds.LEASE({"metadata": place, **(found or {}), "spec": spec})
        await (self.client.create(lease) if found is None else self.client.replace(lease))

    async def _release(self) -> None:
        if not self.leads():
            return
        try:
            async with asyncio.timeout(CALL_SECONDS):
                found = await self._read()
                if (spec := self._election.released(found, datetime.now(UTC))) is not None:
                    await self._write(found, spec)
        except (TimeoutError, *api.TROUBLE) as error:
            _log.warning("the Lease %s is not released: %s", self.lease, error)
        self._election.lost()
