"""The controller: keeps what proxies are told in step with what the API server has, and is in the way of no call.

Every replica reads everything and serves any proxy. While the API server is away, what was programmed stays.
"""

import asyncio
import functools
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from outgate.inject import bootstrap
from outgate.inject import options as inject_options
from outgate.kube import (
    authorities,
    kinds,
    leaving,
    naming,
    places,
    policing,
    telling,
    tokens,
)
from outgate.kube.authorities import ServerCertificate
from outgate.kube.callers import Callers
from outgate.kube.client import Client, Scope
from outgate.kube.debugging import Debug
from outgate.kube.discovering import Discovered
from outgate.kube.fleet import Fleet
from outgate.kube.health import Health
from outgate.kube.materials import Fetched, Values
from outgate.kube.mesh import Mesh
from outgate.kube.namespaces import Namespaces
from outgate.kube.policies import Held
from outgate.kube.policing import Policies
from outgate.kube.reviews import Reviews
from outgate.kube.surroundings import Surroundings, keep
from outgate.kube.telling import Pod, Teller
from outgate.kube.trusting import Trust
from outgate.kube.watching import Changes, Follower
from outgate.kube.webhook import Webhook
from outgate.model.declarations import Source
from outgate.model.names import Name
from outgate.model.workloads import Network, Workload
from outgate.serve import collecting
from outgate.serve.certificates import Certificates, Subject
from outgate.serve.publishing import Publisher
from outgate.serve.server import Server
from outgate.settings import Settings
from outgate.traffic.references import Material
from outgate.xds import naming as xds_naming
from outgate.xds import tunnels
from outgate.xds.clusters import Upstream
from outgate.xds.egress import Site

_log = logging.getLogger(__name__)

# A client's first bytes come by another node, which may be busy or far; its address need not be one of ours, by which
# a declared HTTP port would be known.
SITE = Site(
    "/dev/stdout",
    f"[::]:{xds_naming.TUNNEL_PORT}",
    dns_port=xds_naming.DNS_PORT,
    sniff=1.0,
)

CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
"""CA bundle in the egress Envoy's file system: that of Envoy's own image."""


@dataclass(frozen=True, slots=True)
class Options:
    """What may be chosen: `inside` are the cluster's ranges where it does not say them itself."""

    settings: Settings
    inside: tuple[Network, ...] = ()
    ca_file: str = CA_FILE
    images: inject_options.Options = field(default_factory=inject_options.Options)
    """What pods that the webhook injects get."""
    pod: Pod = field(default_factory=lambda: Pod("controller"))
    """Which replica this is."""
    held: Held = Held.NONE


@dataclass(slots=True, eq=False)
class Controller:
    """One replica; make it inside a running event loop. `stopping` ends it gently."""

    client: Client
    options: Options
    mesh: Mesh
    egress: Publisher
    fleet: Fleet
    namespaces: Namespaces
    policies: Policies
    surroundings: Surroundings
    certificates: Certificates
    server: Server
    trust: Trust
    webhook: Webhook
    teller: Teller
    complete: asyncio.Event
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _changes: dict[Source, Mapping[str, Any] | None] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _slices: dict[Name, Mapping[str, Any]] = field(default_factory=dict)
    _declaring: Discovered = field(init=False)
    _fetched: Fetched = field(init=False)
    _callers: Callers = field(init=False)

    async def run(self) -> None:
        """Serve until told to stop."""
        settings = self.options.settings
        start = self.mesh.start()
        self.egress.publish((*start.changed, tunnels.ready()))
        subject = Subject(
            tunnels.EGRESS_CERTIFICATE,
            tunnels.egress_id(settings),
            naming.SYSTEM_NAMESPACE,
            "egress",
        )
        self.certificates.add(self.egress, subject)
        followers = self._followers()
        await self.server.start()
        try:
            async with (
                asyncio.TaskGroup() as group,
                Health(self.complete).serving(),
                self.webhook.serving(),
                self._debug().serving(),
            ):
                tasks = [group.create_task(each.run()) for each in followers]
                tasks += [
                    group.create_task(self._declaring.run()),
                    group.create_task(self._fetched.run()),
                    group.create_task(self._callers.run()),
                    group.create_task(self._program()),
                    group.create_task(self.certificates.run()),
                    group.create_task(self.namespaces.run(self.complete)),
                    group.create_task(self.policies.run(self.complete)),
                    group.create_task(self.trust.run()),
                    group.create_task(authorities.keep(self.client, self.certificates.root)),
                    group.create_task(collecting.run(lambda: self.egress.revision)),
                    group.create_task(self._completed(followers)),
                    *self.teller.begin(group, self.complete),
                ]
                await self.stopping.wait()
                for each in (self.webhook, self.teller.elector):
                    each.stopping.set()
                await leaving.leave(self.server, self.complete)
                for task in tasks:
                    task.cancel()
        finally:
            await self.server.stop(2.0)

    def _debug(self) -> Debug:
        domain = self.options.settings.trust_domain
        return Debug(self.mesh, self.fleet, self.server, self.teller, self.complete, domain)

    def _followers(self) -> list[Follower]:
        places = Scope(naming.SYSTEM_NAMESPACE, {"kubernetes.io/service-name": naming.EGRESS})
        # By name, so that no right to read others is needed.
        maps = Scope(fields={"metadata.name": bootstrap.MESH_MAP})
        webhook = Scope(fields={"metadata.name": naming.WEBHOOK})
        client, namespaces = self.client, self.namespaces
        self._declaring = Discovered(client, self._take_declaring)
        self._fetched = Fetched(client, self._take_materials, self._close_materials)
        self._callers = Callers(client, self._take_callers)
        followers = [
            Follower(client, kinds.ENDPOINT_SLICE, self._take_slices, places),
            Follower(client, kinds.NAMESPACE, self._take_namespaces),
            Follower(client, kinds.CONFIG_MAP, namespaces.maps, maps),
            Follower(client, kinds.MUTATING_WEBHOOK, self.trust.changed, webhook),
        ]
        followers += policing.followers(client, self.policies)
        return followers + self.surroundings.followers(client)

    async def _completed(self, followers: Iterable[Follower]) -> None:
        """Begin to let proxies in once everything was read, and programmed."""
        await self._declaring.synced.wait()
        for each in followers:
            await each.synced.wait()
        self.surroundings.require(absent=any(each.absent.is_set() for each in followers))
        self.surroundings.tell()
        self._program_now()
        await self._callers.settled()
        await self._fetched.settled()
        # With what Secrets hold, before anything is said of resources.
        self._program_now()
        self.complete.set()
        _log.info("ready: %d external destinations", len(self.mesh.programmed.destinations))

    def _take_declaring(self, kind: str, changes: Changes) -> None:
        for name, item in changes.items():
            self._changes[Source(kind, name.namespace, name.name)] = item
        self._wake.set()

    def _take_materials(self, values: Values) -> None:
        delta = self.mesh.update_materials(values.items())
        self.egress.publish(delta.changed, delta.removed)
        # What is told of resources may be different now.
        self._wake.set()

    def _close_materials(self, reasons: Mapping[Material, str]) -> None:
        delta = self.mesh.close_materials(reasons)
        self.egress.publish(delta.changed, delta.removed)
        self._wake.set()

    def _take_callers(self, namespace: str, pods: tuple[Workload, ...]) -> None:
        delta = self.mesh.update_callers(namespace, pods)
        self.egress.publish(delta.changed, delta.removed)

    def _take_namespaces(self, changes: Changes) -> None:
        self.namespaces.namespaces(changes)
        self.policies.namespaces(changes)
        self._wake.set()

    def _take_slices(self, changes: Changes) -> None:
        keep(self._slices, changes)
        self.fleet.move(places.chosen(self._slices.values()))

    async def _program(self) -> None:
        """Program what changed; what comes while one change is programmed goes with the next."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._program_now()
            await asyncio.sleep(0)

    def _program_now(self) -> None:
        changes, self._changes = self._changes, {}
        self.mesh.namespaces = frozenset(self.namespaces.active)
        delta = self.mesh.update(changes.items())
        revision = self.egress.publish(delta.changed, delta.removed)
        self._fetched.want(self.mesh.vault.materials())
        self._callers.want(self.mesh.policing.policed.policies)
        self.teller.programmed(changes, self._declaring.versions(), revision)
        for source in changes:
            for problem in self.mesh.problems(source):
                _log.warning("%s", problem)


async def make(client: Client, options: Options) -> Controller:
    """Put a controller together; nothing runs yet."""
    settings = options.settings
    root = await authorities.obtain(client, settings)
    certificates, egress, complete = Certificates(root, settings), Publisher(), asyncio.Event()
    reviews = Reviews(functools.partial(tokens.review, client), settings.token_review_seconds)
    fleet = Fleet(reviews, settings, certificates, egress, complete)
    server = Server(fleet.admit)
    certificate = ServerCertificate(root, settings)
    server.listen_tls(f"[::]:{naming.XDS_PORT}", certificate.current)
    upstream = Upstream(settings, options.ca_file, settings.resolvers, marked=False)
    mesh = Mesh(SITE, upstream)
    namespaces = Namespaces(client, {bootstrap.CA_KEY: root.bundle.decode()})
    policies = Policies(client, settings, options.held)
    return Controller(
        client,
        options,
        mesh,
        egress,
        fleet,
        namespaces,
        policies,
        Surroundings(options.inside, fleet, policies, namespaces, complete),
        certificates,
        server,
        Trust(client, root.bundle),
        Webhook(certificate, options.images),
        telling.make(client, options.pod, mesh, egress),
        complete,
    )
