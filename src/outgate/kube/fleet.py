"""The proxies of a cluster: who may connect, and what each is told.

A proxy is what its pod's token proves, never what it says of itself. What a sidecar is told lives as long as its
connection does, so that memory follows the pods that there are.
"""

import asyncio
import functools
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from outgate.errors import UnavailableError
from outgate.kube import naming
from outgate.kube.rates import Rates
from outgate.kube.reviews import Reviews
from outgate.kube.tokens import Caller
from outgate.model.workloads import Network, spiffe_id
from outgate.serve import allowances
from outgate.serve.certificates import Certificates, Subject
from outgate.serve.peers import Admitted, Peer
from outgate.serve.publishing import Publisher
from outgate.settings import Settings
from outgate.xds import resolving, sidecars, tunnels
from outgate.xds.snapshot import Resource, Snapshot

_log = logging.getLogger(__name__)

STREAMS_PER_POD = 4
"""One, and those that went without a word and were not missed yet."""
STREAMS_AT_ONCE, STREAMS_PER_SECOND = 12, 0.5
"""How often a pod may come again: each time costs a certificate."""


@dataclass(slots=True, eq=False)
class Fleet:
    """All proxies that are connected to this replica; used from one event loop only."""

    reviews: Reviews
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

    _common: Snapshot = field(default_factory=Snapshot)
    """What all sidecars are told alike: made once, as only a certificate is a sidecar's own."""
    _streams: Counter[str] = field(default_factory=Counter)
    _rates: Rates = field(default_factory=lambda: Rates(STREAMS_AT_ONCE, STREAMS_PER_SECOND))

    def move(self, places: tuple[str, ...]) -> None:
        """Tell every sidecar where the egress Envoys are now; where there are none it keeps what it has."""
        if not places or places == self.places:
            return
        self.places = places
        _log.info("egress at %s", ", ".join(places))
        to_egress = tunnels.to_egress(places, self.settings)
        self._tell((to_egress, *resolving.clusters(places, self.settings)))

    def inside(self, ranges: tuple[Network, ...]) -> None:
        """Tell every sidecar what is inside the cluster now: nodes come, and bring ranges for pods."""
        if ranges == self.ranges and self._common.types:
            return
        self.ranges = ranges
        _log.info("inside the cluster are %s", ", ".join(map(str, ranges)) or "no ranges at all")
        self._tell(
            (
                *sidecars.resources(self.places, self.settings, ranges),
                *resolving.clusters(self.places, self.settings),
                *resolving.listeners(),
                # Each place has both, and only resolvers are asked for their health.
                tunnels.ready(resolving.SEALED),
            )
        )

    def _tell(self, resources: tuple[Resource, ...]) -> None:
        self._common = self._common.replace(resources)
        for publisher in self.sidecars:
            publisher.publish(resources)

    @asynccontextmanager
    async def admit(self, peer: Peer) -> AsyncIterator[Admitted | None]:
        """Let a proxy in whose token proves its pod."""
        if not self.synced.is_set():
            raise UnavailableError("this controller has not read everything yet, or it stops")
        caller = await self.reviews.caller(peer.token, peer.address)
        if caller is None:
            _log.warning("refused a proxy at %s: its token proves no pod", peer.address)
            yield None
            return
        until = functools.partial(self.reviews.until_refused, peer.token, caller)
        with self._stream(caller):
            if _is_egress(caller):
                name = f"egress~{caller.pod}"
                yield Admitted(name, self.egress, name, allowances.EVERYTHING, until)
                return
            name, publisher = f"sidecar~{caller.pod}", self._sidecar(caller)
            try:
                yield Admitted(name, publisher, name, allowances.SIDECAR, until)
            finally:
                self.sidecars.discard(publisher)
                self.certificates.remove(publisher)

    @contextmanager
    def _stream(self, caller: Caller) -> Iterator[None]:
        if self._rates.left(caller.uid) < 1:
            raise UnavailableError(f"{caller.pod} comes too often: try again")
        self._rates.take(caller.uid)
        if self._streams[caller.uid] >= STREAMS_PER_POD:
            _log.warning("refused %s: it has %d streams already", caller.pod, STREAMS_PER_POD)
            raise UnavailableError(f"{caller.pod} has {STREAMS_PER_POD} streams already")
        self._streams[caller.uid] += 1
        try:
            yield
        finally:
            self._streams[caller.uid] -= 1
            if not self._streams[caller.uid]:
                del self._streams[caller.uid]

    def _sidecar(self, caller: Caller) -> Publisher:
        publisher = Publisher(self._common)
        identity = spiffe_id(
            self.settings.trust_domain, caller.pod.namespace, caller.service_account
        )
        subject = Subject(
            tunnels.WORKLOAD_CERTIFICATE, identity, caller.pod.namespace, caller.pod.name
        )
        self.certificates.add(publisher, subject)
        self.sidecars.add(publisher)
        return publisher


def _is_egress(caller: Caller) -> bool:
    return (caller.pod.namespace, caller.service_account) == (
        naming.SYSTEM_NAMESPACE,
        naming.EGRESS,
    )
