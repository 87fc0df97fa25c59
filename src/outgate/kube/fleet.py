"""The proxies of a cluster: who may connect, and what each is told.

A proxy is what its pod's token proves, never what it says of itself. What a sidecar is told lives as long as its
connection does, so that memory follows the pods that there are.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from outgate.errors import UnavailableError
from outgate.kube import naming, tokens
from outgate.kube.client import Client
from outgate.kube.tokens import Caller
from outgate.model.workloads import Network, spiffe_id
from outgate.serve.certificates import Certificates, Subject
from outgate.serve.peers import Admitted, Peer
from outgate.serve.publishing import Publisher
from outgate.settings import Settings
from outgate.xds import resolving, tunnels

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Fleet:
    """All proxies that are connected to this replica; used from one event loop only."""

    client: Client
    settings: Settings
    certificates: Certificates
    egress: Publisher
    synced: asyncio.Event
    """Set once all there is was read (a proxy that is told less would drop what it has), until this replica stops."""
    sidecars: set[Publisher] = field(default_factory=set)
    places: tuple[str, ...] = ()
    """Where the egress Envoys take tunnels."""
    ranges: tuple[Network, ...] = ()
    """What is inside the cluster."""

    def move(self, places: tuple[str, ...]) -> None:
        """Tell every sidecar where the egress Envoys are now; where there are none it keeps what it has."""
        if not places or places == self.places:
            return
        self.places = places
        _log.info("egress at %s", ", ".join(places))
        clusters = (
            tunnels.to_egress(places, self.settings),
            *resolving.clusters(places, self.settings),
        )
        for publisher in self.sidecars:
            publisher.publish(clusters)

    def inside(self, ranges: tuple[Network, ...]) -> None:
        """Tell every sidecar what is inside the cluster now: nodes come, and bring ranges for pods."""
        if ranges == self.ranges:
            return
        self.ranges = ranges
        _log.info("inside the cluster are %s", ", ".join(map(str, ranges)) or "no ranges at all")
        resources = tunnels.sidecar(self.places, self.settings, ranges)
        for publisher in self.sidecars:
            publisher.publish(resources)

    @asynccontextmanager
    async def admit(self, peer: Peer) -> AsyncIterator[Admitted | None]:
        """Let a proxy in whose token proves its pod."""
        if not self.synced.is_set():
            raise UnavailableError("this controller has not read everything yet, or it stops")
        caller = await tokens.review(self.client, peer.token)
        if caller is None:
            _log.warning("refused %r: its token proves no pod", peer.node)
            yield None
        elif _is_egress(caller):
            yield Admitted(f"egress~{caller.pod}", self.egress)
        elif peer.node != (name := f"sidecar~{caller.pod}"):
            _log.warning("refused %r: its token is that of %s", peer.node, name)
            yield None
        else:
            publisher = self._sidecar(caller)
            try:
                yield Admitted(name, publisher)
            finally:
                self.sidecars.discard(publisher)
                self.certificates.remove(publisher)

    def _sidecar(self, caller: Caller) -> Publisher:
        publisher = Publisher()
        identity = spiffe_id(
            self.settings.trust_domain, caller.pod.namespace, caller.service_account
        )
        subject = Subject(
            tunnels.WORKLOAD_CERTIFICATE, identity, caller.pod.namespace, caller.pod.name
        )
        self.certificates.add(publisher, subject)
        publisher.publish(
            (
                *tunnels.sidecar(self.places, self.settings, self.ranges),
                *resolving.clusters(self.places, self.settings),
                *resolving.listeners(),
                # Each place has both, and only resolvers are asked for their health.
                tunnels.ready(resolving.SEALED),
            )
        )
        self.sidecars.add(publisher)
        return publisher


def _is_egress(caller: Caller) -> bool:
    return (caller.pod.namespace, caller.service_account) == (
        naming.SYSTEM_NAMESPACE,
        naming.EGRESS,
    )
