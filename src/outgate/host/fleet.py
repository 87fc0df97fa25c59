"""The pods of the local mesh while the daemon runs: made, adopted, watched and removed."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace

from outgate.errors import ConflictError, NotFoundError, OutgateError
from outgate.host import cutting, proxies, sandboxes
from outgate.host.denied import DeniedLog
from outgate.host.mesh import Mesh
from outgate.host.plan import Layout
from outgate.host.pods import Pod, Process
from outgate.host.proxies import EGRESS, Proxy
from outgate.model.names import Name
from outgate.model.workloads import Capture
from outgate.serve.certificates import Certificates, Subject
from outgate.serve.publishing import Publisher
from outgate.xds import naming, sidecars, tunnels
from outgate.xds.building import CLUSTER
from outgate.xds.egress import Delta

_log = logging.getLogger(__name__)

START_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class _Sidecar:
    proxy: Proxy
    publisher: Publisher
    task: asyncio.Task[None] | None = None


@dataclass(slots=True, eq=False)
class Fleet:
    """All pods; used from one event loop only."""

    layout: Layout
    mesh: Mesh
    publisher: Publisher
    certificates: Certificates
    pods: dict[Name, Pod] = field(default_factory=dict)
    sidecars: dict[str, _Sidecar] = field(default_factory=dict)
    denied: dict[Name, DeniedLog] = field(default_factory=dict)
    _group: asyncio.TaskGroup | None = None
    _removing: dict[Name, asyncio.Event] = field(default_factory=dict)

    def find(self, node: str) -> Publisher | None:
        """Return what a proxy may follow; one that was not started here is refused."""
        if node == EGRESS:
            return self.publisher
        sidecar = self.sidecars.get(node)
        return sidecar.publisher if sidecar else None

    def apply(self, delta: Delta) -> int:
        """Publish a change, and cut the connections of what it takes away; return the revision."""
        before = self.publisher.snapshot.of_type(CLUSTER)
        gone = [name for kind, name in delta.removed if kind == CLUSTER]
        gone += [each.name for each in delta.changed if before.get(each.name, each) != each]
        revision = self.publisher.publish(delta.changed, delta.removed)
        if gone and self.pods:
            namespaces = [self.layout.netns(name) for name in self.pods]
            self.background(cutting.cut(gone, namespaces))
        return revision

    async def run(self) -> None:
        """Own the tasks of pods, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                await asyncio.Event().wait()
            finally:
                self._group = None

    def background(self, work: Awaitable[object]) -> None:
        """Do something while the daemon runs; what goes wrong in it is logged."""

        async def logged() -> None:
            try:
                await work
            except OutgateError as error:
                _log.error("%s", error)

        if self._group is not None:
            self._group.create_task(logged())

    async def create(self, pod: Pod) -> Pod:
        """Make a pod, ready to be entered; nothing of it is left if that fails."""
        if (leaving := self._removing.get(pod.key)) is not None:
            await leaving.wait()
        if pod.key in self.pods:
            raise ConflictError(
                f'pods "{pod.name}" already exists', hint="delete it first, or use another --name"
            )
        self.pods[pod.key] = pod
        try:
            await sandboxes.make_namespace(pod, self.layout)
            pod, link, _ = await asyncio.gather(
                sandboxes.start_init(pod, self.layout),
                sandboxes.seal(pod, self.layout),
                self._capture(pod),
            )
            pod = replace(pod, link=link)
            if pod.init is not None:
                await sandboxes.answering(pod.init.pid)
            sandboxes.save(pod, self.layout)
        except BaseException:
            self._release(pod.key)
            await sandboxes.remove(pod, self.layout)
            raise
        self.pods[pod.key] = pod
        self._watch(pod)
        return pod

    async def _capture(self, pod: Pod) -> None:
        """Program the egress Envoy for a pod, and its sidecar where it has one."""
        workload = pod.workload(self.layout.netns(pod.key))
        revision = self.apply(self.mesh.add_workload(workload))
        if workload.capture is Capture.SIDECAR:
            await self._sidecar(pod)
        kinds = ("capture", "raw", "dns")
        names = [naming.workload_listener(pod.key, kind) for kind in kinds]
        await self.publisher.wait_for(revision, names, START_SECONDS)

    async def _sidecar(self, pod: Pod) -> None:
        settings = self.layout.settings
        proxy = proxies.sidecar(self.layout, pod.key)
        sidecar = self.sidecars[proxy.node] = _Sidecar(proxy, Publisher())
        identity = pod.workload(self.layout.netns(pod.key)).identity(settings.trust_domain)
        subject = Subject(tunnels.WORKLOAD_CERTIFICATE, identity, pod.namespace, pod.name)
        self.certificates.add(sidecar.publisher, subject)
        sidecar.publisher.publish(sidecars.resources((str(self.layout.tunnel),), settings))
        if self._group is None:
            return
        sidecar.task = self._group.create_task(proxy.supervisor.run())
        await proxy.supervisor.wait_ready(START_SECONDS)
        names = (*sidecars.LISTENERS, tunnels.EGRESS_CLUSTER)
        await sidecar.publisher.wait_for(sidecar.publisher.revision, names, START_SECONDS)

    def _watch(self, pod: Pod) -> None:
        """Remove a pod when its first process, or the command that wanted it, ends; log what is refused in it."""
        if self._group is None:
            return
        for process in filter(None, (pod.init, pod.owner)):
            self._group.create_task(self._remove_after(process, pod.key))
        trust_domain = self.layout.settings.trust_domain
        netns = self.layout.netns(pod.key)
        self.denied[pod.key] = DeniedLog(self.layout.egress_log, pod.workload(netns), trust_domain)
        self.denied[pod.key].start()

    async def _remove_after(self, process: Process, name: Name) -> None:
        await ended(process)
        if name in self.pods and process in (self.pods[name].init, self.pods[name].owner):
            await self.remove(name)

    async def started(self, name: Name, main: Process) -> None:
        """Note a pod's main command, and its exit status when it ends."""
        self.pods[name] = replace(self.get(name), main=main)
        sandboxes.save(self.pods[name], self.layout)

    def finished(self, name: Name, status: int) -> None:
        """Note how a pod's main command ended."""
        if name in self.pods:
            self.pods[name] = replace(self.pods[name], exit_status=status)
            sandboxes.save(self.pods[name], self.layout)

    def get(self, name: Name) -> Pod:
        """Return a pod; NotFoundError where there is none."""
        if name not in self.pods:
            raise NotFoundError(f'pods "{name.name}" not found in namespace "{name.namespace}"')
        return self.pods[name]

    async def remove(self, name: Name) -> None:
        """Remove a pod: its processes end first, so that none of them sees the rest go."""
        pod = self.get(name)
        if name in self._removing:
            await self._removing[name].wait()
            return
        gone = self._removing[name] = asyncio.Event()
        try:
            sandboxes.stop(pod.init)
            await self._stop_sidecar(name)
            self._release(name)
            await sandboxes.remove(pod, self.layout)
            if not any(each.include for each in self.pods.values()):
                await sandboxes.remove_links(self.layout)
        finally:
            del self._removing[name]
            gone.set()

    async def _stop_sidecar(self, name: Name) -> None:
        sidecar = self.sidecars.pop(proxies.sidecar_node(name), None)
        if sidecar is not None:
            self.certificates.remove(sidecar.publisher)
            await sidecar.proxy.supervisor.stop(0)

    def _release(self, name: Name) -> None:
        self.pods.pop(name, None)
        if (log := self.denied.pop(name, None)) is not None:
            log.stop()
        self.apply(self.mesh.remove_workload(name))

    def restore(self) -> None:
        """Program the pods that an earlier daemon left, before any proxy is answered: it must not lose theirs."""
        for pod in sandboxes.saved(self.layout):
            owned = pod.owner is None or sandboxes.is_alive(pod.owner)
            if sandboxes.is_alive(pod.init) and owned and self.layout.netns(pod.key).exists():
                self.pods[pod.key] = pod
                self.apply(self.mesh.add_workload(pod.workload(self.layout.netns(pod.key))))

    async def adopt(self) -> None:
        """Go on with the pods that were restored, and remove what is left of others."""
        for pod in sandboxes.saved(self.layout):
            if pod.key in self.pods:
                await self._capture(pod)
                self._watch(pod)
                _log.info("adopted pod %s", pod.key)
            else:
                await sandboxes.remove(pod, self.layout)
        kept = {self.layout.netns_name(name) for name in self.pods}
        for name in sandboxes.namespaces(self.layout):
            if name not in kept:
                await sandboxes.remove_namespace(name)
        if not any(each.include for each in self.pods.values()):
            await sandboxes.remove_links(self.layout)

    async def remove_all(self) -> None:
        """Remove every pod."""
        for name in list(self.pods):
            with contextlib.suppress(NotFoundError):
                await self.remove(name)


async def ended(process: Process) -> None:
    """Return when a process has ended; it need not be a child of ours."""
    if not sandboxes.is_alive(process):
        return
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.add_reader(descriptor, lambda: None if done.done() else done.set_result(None))
    try:
        if sandboxes.is_alive(process):
            await done
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
