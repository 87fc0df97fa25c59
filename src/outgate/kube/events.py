"""Writes Events on resources: by the leader only, at a bounded rate, and nothing that was said already."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from outgate.kube import client as api
from outgate.kube import kinds, naming
from outgate.kube.client import Client, Scope
from outgate.kube.electing import CALL_SECONDS, Elector
from outgate.kube.elections import stamp
from outgate.kube.paces import Bucket
from outgate.kube.reports import Due, Message, Reports, Said, number

_log = logging.getLogger(__name__)

RATE, BURST = 50.0, 100
"""Events a second, and at once: what Kubernetes' own components have."""
_PAUSE_SECONDS = 2.0
_WAKE_SECONDS = 1.0
_HOPELESS = (400, 403, 404, 409, 422)
"""Of one Event: its namespace is going, or it is there already. Trying again would give the same."""


def event(due: Due, message: Message, instance: str, now: datetime) -> dict[str, Any]:
    """Return an events.k8s.io/v1 Event; `instance` is the pod that says it."""
    # As client-go names them: what it is about, and something that is there only once.
    suffix = f"{int(now.timestamp() * 1e6):x}{secrets.token_hex(2)}"
    return {
        "metadata": {"name": f"{due.source.name}.{suffix}", "namespace": due.source.namespace},
        "eventTime": stamp(now),
        "reportingController": naming.REPORTER,
        "reportingInstance": instance[:128],
        "action": message.action,
        "reason": message.reason,
        "type": "Warning" if message.is_warning else "Normal",
        "regarding": {
            "apiVersion": due.api_version,
            "kind": due.source.kind,
            "namespace": due.source.namespace,
            "name": due.source.name,
            "uid": due.uid,
        },
        "note": message.note,
    }


def said(events: Iterable[Mapping[str, Any]]) -> dict[str, Said]:
    """Return what Events say of each resource, by its uid: in the order in which the API server took them."""
    found: dict[str, Said] = {}
    for each in sorted(events, key=lambda one: number(one["metadata"].get("resourceVersion"))):
        uid = str((each.get("regarding") or {}).get("uid", ""))
        parts = (str(each.get(part, "")) for part in ("action", "reason", "note"))
        found[uid] = found.get(uid, Said()).and_then(Message(*parts))
    return found


@dataclass(slots=True, eq=False)
class Recorder:
    """Says what `reports` has to say while this replica leads; `clock` is monotonic, in seconds."""

    client: Client
    reports: Reports
    elector: Elector
    clock: Callable[[], float] = time.monotonic
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """To be set when there may be something to say."""
    written: int = 0
    """How many Events were written."""
    _bucket: Bucket = field(default_factory=lambda: Bucket(RATE, BURST))

    async def run(self, complete: asyncio.Event) -> None:
        """Write until cancelled; begin once all resources were read."""
        await complete.wait()
        while True:
            await self.elector.changed.wait()
            self.elector.changed.clear()
            if await self._restore():
                await self._lead()

    async def _restore(self) -> bool:
        """Read what was said before; whether this replica leads still."""
        scope = Scope(fields={"reportingController": naming.REPORTER})
        while self.elector.leads():
            try:
                events, _ = await api.listed(self.client, kinds.EVENT, scope)
            except api.TROUBLE as error:
                _log.warning("cannot read which Events there are: %s", error)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self.reports.restore(said(events))
            return True
        return False

    async def _lead(self) -> None:
        # Whoever leads again has to read again: another one may have written meanwhile.
        while self.elector.leads() and not self.elector.changed.is_set():
            self.wake.clear()
            if (due := self.reports.next()) is not None:
                await self._say(due)
                continue
            try:
                async with asyncio.timeout(_WAKE_SECONDS):
                    await self.wake.wait()
            except TimeoutError:
                continue

    async def _say(self, due: Due) -> None:
        for message in due.messages:
            await asyncio.sleep(self._bucket.take(self.clock()))
            if not self.elector.leads():
                return
            try:
                await self._write(due, message)
            except (TimeoutError, *api.TROUBLE) as error:
                if api.code(error) not in _HOPELESS:
                    _log.warning("cannot write an Event: %s", error or type(error).__name__)
                    self.reports.postpone(due.source)
                    await asyncio.sleep(_PAUSE_SECONDS)
                    return
                _log.info("no Event on %s: %s", due.source, error)
            self.reports.done(due, message)

    async def _write(self, due: Due, message: Message) -> None:
        form = event(due, message, self.elector.identity, datetime.now(UTC))
        async with asyncio.timeout(CALL_SECONDS):
            await self.client.create(kinds.EVENT(form))
        self.written += 1
