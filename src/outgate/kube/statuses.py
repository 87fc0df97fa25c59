"""Writes what has become of resources into their status: by the leader only, at a bounded rate, and only what is new.

What is written is compared with what the API server has, so that nothing is asked for, and no call is made in vain.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from outgate.kube import client as api
from outgate.kube import discovering, naming
from outgate.kube.client import Client
from outgate.kube.electing import CALL_SECONDS, Elector
from outgate.kube.mesh import Mesh
from outgate.kube.paces import Bucket
from outgate.kube.reports import Reports
from outgate.model import conditions
from outgate.model.conditions import Entry, Moment, Shape
from outgate.model.declarations import Source
from outgate.model.gateway import statuses
from outgate.model.gateway.known import object_of
from outgate.model.gateway.statuses import Outcome
from outgate.resources.problems import Severity

_log = logging.getLogger(__name__)

RATE, BURST = 50.0, 100
_PAUSE_SECONDS = 1.0
_HOPELESS = (403, 404, 409, 422)
"""Of one status: the object is gone, or has changed, which will be heard of. Trying again would give the same."""

Item = Mapping[str, Any]


def kept(item: Item) -> Item:
    """Return what is needed of an object later."""
    metadata = item["metadata"]
    names = ("uid", "name", "namespace", "resourceVersion", "generation")
    held = {key: metadata[key] for key in names if key in metadata}
    parts = {key: item[key] for key in ("apiVersion", "kind", "spec", "status") if key in item}
    return {**parts, "metadata": held}


@dataclass(slots=True, eq=False)
class Statuses:
    """Statuses of resources that have one; `items` are all that there are, as they were last seen."""

    client: Client
    mesh: Mesh
    reports: Reports
    elector: Elector
    items: dict[Source, Item] = field(default_factory=dict)
    written: int = 0
    """How many statuses were written."""
    _bucket: Bucket = field(default_factory=lambda: Bucket(RATE, BURST))

    def entries(self, source: Source) -> tuple[Entry, ...]:
        """Return what is to be said of a resource."""
        item = self.items.get(source)
        if item is None or statuses.shape(source.kind) is None:
            return ()
        spec = item.get("spec")
        made = spec if isinstance(spec, Mapping) else {}
        return statuses.entries(source, made, self.mesh.relations, self._outcome(source))

    def _outcome(self, source: Source) -> Outcome:
        problems = self.mesh.wrong.get(source, ())
        if statuses.shape(source.kind) == conditions.PLAIN or source.kind == "XBackend":
            problems = self.mesh.problems(source)
        errors = (each for each in problems if each.severity is Severity.ERROR)
        said = tuple(f"{each.path}: {each.message}" for each in errors)
        words = (self.reports.refused.get(each) for each in (source, *self._parents(source)))
        refused = next((each for each in words if each), "")
        return Outcome(said, source in self.reports.programmed, refused)

    def _parents(self, source: Source) -> Iterable[Source]:
        """Return the destinations through which a route reaches Envoy: their refusal is its own."""
        route = self.mesh.relations.routes.get(source)
        for parent in route.parents if route else ():
            meant = parent.object
            yield Source(meant.kind, meant.namespace, meant.name)

    async def run(self, complete: asyncio.Event) -> None:
        """Write until cancelled, whenever this replica leads."""
        await complete.wait()
        led = False
        while True:
            leads = self.elector.leads()
            if leads and not led:
                self.reports.news.update(dict.fromkeys(self.items))
            led = leads
            if leads and self.reports.news:
                await self._write_news()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _write_news(self) -> None:
        news, self.reports.news = self.reports.news, {}
        sources = dict(news)
        for source in news:
            if source.kind in ("Service", "XBackend"):
                speaking = self.mesh.relations.speaking(object_of(source))
                sources.update(dict.fromkeys(speaking))
        for source in sources:
            if not self.elector.leads():
                self.reports.news[source] = None
                continue
            await self._write(source)

    async def _write(self, source: Source) -> None:
        item, shape = self.items.get(source), statuses.shape(source.kind)
        if item is None or shape is None:
            return
        entries = self.entries(source)
        wanted = wanted_status(item, shape, entries)
        if wanted is None:
            return
        await asyncio.sleep(self._bucket.take(time.monotonic()))
        try:
            async with asyncio.timeout(CALL_SECONDS):
                answer = await self._apply(item, wanted)
        except (TimeoutError, *api.TROUBLE) as error:
            if api.code(error) in _HOPELESS:
                _log.info("no status of %s in %s: %s", source, source.namespace, error)
                return
            _log.warning("cannot write a status: %s", error or type(error).__name__)
            self.reports.news[source] = None
            return
        self.written += 1
        if self.items.get(source) is item:
            self.items[source] = kept({**item, **answer})

    async def _apply(self, item: Item, status: Mapping[str, Any]) -> Item:
        metadata, version = item["metadata"], str(item["apiVersion"])
        kind = discovering.kind_of(version, str(item["kind"]))
        # With the version that was read: entries of others that are newer are not written over.
        place = {key: metadata[key] for key in ("name", "namespace", "resourceVersion")}
        made = kind.Status(
            {"apiVersion": version, "kind": item["kind"], "metadata": place, "status": status}
        )
        return dict(await self.client.apply(made, field_manager=naming.CONTROLLER, force=True))


def wanted_status(item: Item, shape: Shape, entries: tuple[Entry, ...]) -> Mapping[str, Any] | None:
    """Return the status that an object is to have; None where it has it, or none is to be written."""
    found = item.get("status")
    before = found if isinstance(found, Mapping) else {}
    generation = int(item["metadata"].get("generation") or 0)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if not entries and not (shape.list and before.get(shape.list)):
        return None
    wanted = conditions.status(before, shape, entries, Moment(generation, now))
    return None if wanted == before else wanted
