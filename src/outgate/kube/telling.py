"""Tells users what became of their resources, whichever replica has the egress Envoys: see `reports` and `progress`."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lightkube.models.coordination_v1 import LeaseSpec
from lightkube.models.meta_v1 import ObjectMeta, OwnerReference
from lightkube.resources.coordination_v1 import Lease

from outgate.kube import client as api
from outgate.kube import kinds, naming, progress
from outgate.kube.client import Client, Scope
from outgate.kube.electing import CALL_SECONDS, Elector
from outgate.kube.events import Recorder
from outgate.kube.mesh import Mesh
from outgate.kube.progress import Progress, Reached, Replicas, Versions
from outgate.kube.reports import Judged, Reports, judge, judge_other
from outgate.kube.statuses import Statuses, kept
from outgate.kube.watching import Changes, Follower
from outgate.model.declarations import Source
from outgate.model.gateway.statuses import shape
from outgate.model.names import Name
from outgate.serve.publishing import Publisher

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
"""How often it is looked how far egress Envoys are, and so at most how often others are told."""


@dataclass(frozen=True, slots=True)
class Pod:
    """Which replica this is; without a `uid` what it leaves is not cleared away with it."""

    name: str
    uid: str = ""


@dataclass(slots=True, eq=False)
class Teller:
    """One replica's part; make it inside a running event loop."""

    client: Client
    pod: Pod
    mesh: Mesh
    egress: Publisher
    elector: Elector
    recorder: Recorder
    reports: Reports
    statuses: Statuses
    reached: Reached = field(default_factory=Reached)
    """How far this replica's own egress Envoys are."""
    _progress: Progress = field(default_factory=Progress)
    _replicas: Replicas = field(default_factory=Replicas)
    _owners: tuple[frozenset[str], Mapping[str, Source]] = (frozenset(), {})
    _told: tuple[Reached | None, float] = (None, float("-inf"))
    _others: Follower = field(init=False)

    def programmed(
        self,
        changes: Mapping[Source, Mapping[str, Any] | None],
        versions: Versions,
        revision: int,
    ) -> None:
        """Take in that these resources were programmed with a revision, and all others up to versions."""
        self._progress.published(revision, versions)
        items = self.statuses.items
        for source, item in changes.items():
            if source.kind == "Service":
                self.reports.change(source, self._judge(source, item))
            elif item is None:
                items.pop(source, None)
            else:
                items[source] = kept(item)
        others = {each for each in changes if each.kind != "Service"}
        for source in others | (self.mesh.affected & items.keys()):
            self.reports.change(source, self._judge_other(source))
            self.reports.news[source] = None
        self.recorder.wake.set()

    def _judge(self, source: Source, service: Mapping[str, Any] | None) -> Judged | None:
        if service is None:
            return None
        programmed, name = self.mesh.programmed, Name(source.namespace, source.name)
        return judge(
            service["metadata"],
            programmed.destinations.get(name),
            self.mesh.problems(source),
            on_demand=any(each.on_demand for each in programmed.resources.get(name, ())),
        )

    def _judge_other(self, source: Source) -> Judged | None:
        item = self.statuses.items.get(source)
        if item is None or source.kind == "ReferenceGrant":
            return None
        if shape(source.kind) is not None and not self.statuses.entries(source):
            # Attached to nothing of ours: it is for another controller.
            return None
        return judge_other(item, self.mesh.problems(source))

    def __post_init__(self) -> None:
        """Prepare to follow the other replicas."""
        scope = Scope(naming.SYSTEM_NAMESPACE, {naming.REPLICA_LABEL: "true"})
        self._others = Follower(self.client, kinds.LEASE, self._replicas_changed, scope)

    def _replicas_changed(self, changes: Changes) -> None:
        self._replicas.change(changes, time.monotonic())

    def begin(self, group: asyncio.TaskGroup, complete: asyncio.Event) -> list[asyncio.Task[None]]:
        """Start everything that belongs to it; it does nothing before all was read."""
        runs = (
            self.run(complete),
            self.recorder.run(complete),
            self.statuses.run(complete),
            self.elector.run(complete),
            self._others.run(),
        )
        return [group.create_task(each) for each in runs]

    async def run(self, complete: asyncio.Event) -> None:
        """Look, and tell the other replicas, until cancelled."""
        await complete.wait()
        try:
            while True:
                # What others say is known before anything is said for all.
                await self._others.synced.wait()
                self.look()
                await self._tell()
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            await self._leave()

    def look(self) -> None:
        """See how far all egress Envoys are now."""
        streams = [each.stream for each in self.egress.followers]
        versions = self._progress.reached(each.acknowledged() for each in streams)
        self.reached = Reached(versions, self._refused())
        others = self._replicas.alive(time.monotonic(), self.pod.name)
        everyone = progress.together((self.reached, *others))
        self.reports.reached(everyone.versions, everyone.refused)
        if self.reports.waiting:
            self.recorder.wake.set()

    def _refused(self) -> dict[Source, str]:
        """Return which resources egress Envoys refuse, and their words; the first, where several do."""
        words = {
            name: refusal.message
            for follower in sorted(self.egress.followers, key=lambda each: each.node, reverse=True)
            for refusal in follower.stream.refusals()
            for name in refusal.names
        }
        if self._owners[0] != words.keys():
            # It takes a look at everything, but only when what is refused becomes different.
            found = {
                each.name: self.mesh.owner(name)
                for name, made in self.mesh.programmed.resources.items()
                for each in made
                if each.name in words
            }
            self._owners = (frozenset(words), found)
        owners = self._owners[1]
        return {owners[name]: said for name, said in sorted(words.items()) if name in owners}

    async def _tell(self) -> None:
        told, at = self._told
        now = time.monotonic()
        if told == self.reached and now - at < progress.BEAT_SECONDS:
            return
        owner = OwnerReference(apiVersion="v1", kind="Pod", name=self.pod.name, uid=self.pod.uid)
        metadata = ObjectMeta(
            name=self.pod.name,
            namespace=naming.SYSTEM_NAMESPACE,
            labels={naming.REPLICA_LABEL: "true"},
            annotations=self.reached.annotations(),
            # So that it goes when the pod does, however that happens.
            ownerReferences=[owner] if self.pod.uid else None,
        )
        spec = LeaseSpec(
            holderIdentity=self.pod.name,
            leaseDurationSeconds=int(progress.ALIVE_SECONDS),
            renewTime=datetime.now(UTC),
        )
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self.client.apply(
                    Lease(metadata=metadata, spec=spec), field_manager=self.pod.name, force=True
                )
        except (TimeoutError, *api.TROUBLE) as error:
            _log.warning("cannot tell the other replicas: %s", error or type(error).__name__)
            return
        self._told = (self.reached, now)

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self.client.delete(Lease, self.pod.name, namespace=naming.SYSTEM_NAMESPACE)
        except (TimeoutError, *api.TROUBLE) as error:
            if api.code(error) != api.NOT_FOUND:
                _log.warning("the Lease of this replica stays: %s", error)


def make(client: Client, pod: Pod, mesh: Mesh, egress: Publisher) -> Teller:
    """Put it together; nothing runs yet."""
    reports = Reports()
    elector = Elector(client, pod.name)
    recorder = Recorder(client, reports, elector)
    statuses = Statuses(client, mesh, reports, elector)
    return Teller(client, pod, mesh, egress, elector, recorder, reports, statuses)
