"""The daemon: keeps what runs in step with what is written down, and never stands in the way of traffic."""

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from watchfiles import awatch

from outgate.errors import ConflictError, HostError
from outgate.host import guarding, machine, proxies, rotating
from outgate.host.certificates import authority_at
from outgate.host.fleet import Fleet
from outgate.host.materials import LOOK_SECONDS, Files
from outgate.host.mesh import Mesh
from outgate.host.plan import Layout
from outgate.host.proxies import EGRESS, Proxy
from outgate.host.store import Store, read_file
from outgate.serve import collecting
from outgate.serve.certificates import Certificates, Subject
from outgate.serve.peers import by_name
from outgate.serve.publishing import Publisher
from outgate.serve.server import Server
from outgate.settings import Settings
from outgate.xds import tunnels
from outgate.xds.clusters import Upstream
from outgate.xds.egress import Delta, Site
from outgate.xds.private import Ranges

_log = logging.getLogger(__name__)

ANSWER_SECONDS = 10.0
"""How long a command waits for Envoy to take what it asked for."""


def prepare(layout: Layout) -> None:
    """Make the folders that only root may look into."""
    settings = layout.settings
    for path in (layout.run, layout.pods, settings.state_dir, layout.manifests, settings.log_dir):
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise HostError(f"cannot make {path}: {error.strerror}", hint="run as root") from error


@contextlib.contextmanager
def only_one(layout: Layout) -> Iterator[None]:
    """Hold the lock that says that a daemon runs; ConflictError if another has it."""
    descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError("the local mesh is up already", hint="outgate status") from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


@dataclass(slots=True, eq=False)
class Daemon:
    """One local mesh while it is up; make it inside a running event loop."""

    layout: Layout
    store: Store
    mesh: Mesh
    publisher: Publisher
    certificates: Certificates
    server: Server
    egress: Proxy
    fleet: Fleet
    files: Files = field(default_factory=Files)
    guarded: frozenset[Ranges] | None = None
    """The sets of private ranges that the guard knows; None before it is there."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def sync(self, files: Iterable[Path]) -> int:
        """Read manifests that changed, and return the revision in which they are programmed."""
        async with self.changing:
            manifests = [(str(each), read_file(each) if each.is_file() else None) for each in files]
            delta = self.mesh.update_files(manifests).and_then(self._materials())
            try:
                await self._guard()
            finally:
                # Sockets that the guard does not know yet are refused; a change that is lost would never come again.
                revision = self.fleet.apply(delta)
            return revision

    async def _guard(self) -> None:
        private = self.mesh.private.sets()
        if private != self.guarded:
            await guarding.apply(self.layout, private)
            self.guarded = private

    def _materials(self) -> Delta:
        return self.mesh.update_materials(self.files.changes(self.mesh.vault.materials()))

    async def settled(self, revision: int) -> tuple[str, ...]:
        """Wait until Envoy has taken a revision; return what it refuses."""
        refusals = await self.publisher.wait(revision, ANSWER_SECONDS)
        return tuple(f"{', '.join(each.names)}: {each.message}" for each in refusals)

    async def run(
        self, answering: contextlib.AbstractAsyncContextManager[None], ready: asyncio.Event
    ) -> None:
        """Be up until told to stop, `answering` commands meanwhile.

        What serves traffic goes on when this is cancelled, or killed.
        """
        settings = self.layout.settings
        self.fleet.apply(self.mesh.start())
        subject = Subject(
            tunnels.EGRESS_CERTIFICATE, tunnels.egress_id(settings), "outgate-system", EGRESS
        )
        self.certificates.add(self.publisher, subject)
        await self.sync(self.store.files())
        for problem in self.mesh.problems():
            _log.warning("%s", problem)
        self.fleet.restore()
        # Only now: a proxy that goes on from before must be told nothing less than all.
        self.server.listen_unix(self.layout.xds)
        await self.server.start()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self.egress.supervisor.run()),
                    group.create_task(self.certificates.run()),
                    group.create_task(self._watch()),
                    group.create_task(self._rotate()),
                    group.create_task(self._look()),
                    group.create_task(collecting.run(lambda: self.publisher.revision)),
                    group.create_task(self.fleet.run()),
                ]
                async with answering:
                    await self.egress.supervisor.wait_ready(30)
                    await self.settled(self.publisher.revision)
                    await self.fleet.adopt()
                    ready.set()
                    await self.stopping.wait()
                await self._down()
                for task in tasks:
                    task.cancel()
        finally:
            await self.server.stop()

    async def _down(self) -> None:
        """Stop everything, pods first: they must not see an egress that is half there."""
        await self.fleet.remove_all()
        await self.egress.supervisor.stop()
        await guarding.remove(self.layout)

    async def _look(self) -> None:
        """Take in files with certificates and credentials that have changed."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            async with self.changing:
                delta = self._materials()
                if delta != Delta():
                    self.fleet.apply(delta)

    async def _rotate(self) -> None:
        most = self.layout.settings.egress_log_megabytes * 1_000_000
        await rotating.run(self.layout.egress_log, most, self.egress.admin)

    async def _watch(self) -> None:
        """Take in what people change in the folder themselves."""
        async for changes in awatch(self.layout.manifests, step=20, debounce=200):
            paths = {Path(path) for _, path in changes}
            wanted = [each for each in paths if self.store.is_manifest(each)]
            if wanted:
                try:
                    await self.sync(wanted)
                except Exception:
                    # One file that cannot be taken in must not end what keeps all others in step.
                    _log.exception("cannot take in %s", ", ".join(map(str, sorted(wanted))))


def make(settings: Settings) -> Daemon:
    """Put a daemon together; nothing runs yet."""
    layout = Layout(settings)
    first, second = machine.dns_ports(layout.run / "ports.json")
    resolvers = machine.resolvers(settings)
    site = Site(str(layout.egress_log), str(layout.tunnel), first, second, resolvers)
    mesh = Mesh(site, Upstream(settings, machine.ca_file(settings), resolvers))
    publisher = Publisher()
    certificates = Certificates(authority_at(layout.authority, settings), settings)
    fleet = Fleet(layout, mesh, publisher, certificates)
    server = Server(by_name(fleet.find))
    return Daemon(
        layout,
        Store(layout.manifests),
        mesh,
        publisher,
        certificates,
        server,
        proxies.egress(layout),
        fleet,
    )
