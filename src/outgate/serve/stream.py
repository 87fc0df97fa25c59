"""One proxy's stream: its subscriptions, and the order in which types are sent, without I/O.

Make before break: clusters and secrets are sent before what refers to them, and clusters are taken
away only after the proxy has let go of what referred to them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from outgate.serve.subscription import Refusal, Request, Response, Subscription
from outgate.xds.snapshot import Snapshot

_PREFIX = "type.googleapis.com/envoy."
SECRET = _PREFIX + "extensions.transport_sockets.tls.v3.Secret"
CLUSTER = _PREFIX + "config.cluster.v3.Cluster"
LISTENER = _PREFIX + "config.listener.v3.Listener"
ORDER = (
    SECRET,
    CLUSTER,
    _PREFIX + "config.endpoint.v3.ClusterLoadAssignment",
    LISTENER,
    # Filters: a listener waits for those it names, and they may name other listeners.
    _PREFIX + "config.core.v3.TypedExtensionConfig",
    _PREFIX + "config.route.v3.ScopedRouteConfiguration",
    _PREFIX + "config.route.v3.RouteConfiguration",
)
"""The types that are served, each before those that refer to it."""


@dataclass(slots=True)
class Stream:
    """What one proxy subscribed to."""

    subscriptions: dict[str, Subscription] = field(default_factory=dict)

    def receive(self, type_url: str, request: Request, snapshot: Snapshot) -> None:
        """Take in a request; a type that is not served is ignored: the proxy goes on without it."""
        if type_url not in ORDER:
            return
        if type_url not in self.subscriptions:
            self.subscriptions[type_url] = Subscription(type_url)
        self.subscriptions[type_url].receive(request, snapshot)

    def change(self, names: Mapping[str, Iterable[str]]) -> None:
        """Note which resources changed, by type."""
        for type_url, changed in names.items():
            if type_url in self.subscriptions:
                self.subscriptions[type_url].change(changed)

    def next(self, snapshot: Snapshot, revision: int) -> tuple[str, Response] | None:
        """Return the next response to send, with its type, if there is one."""
        for type_url in ORDER:
            subscription = self.subscriptions.get(type_url)
            if subscription is None:
                continue
            hold = type_url == CLUSTER
            if response := subscription.next(snapshot, revision, hold_removals=hold):
                return type_url, response
            if subscription.is_behind(snapshot):
                # What comes after may refer to what is still to be sent here.
                return None
        clusters = self.subscriptions.get(CLUSTER)
        if clusters is None or self._refers(snapshot):
            return None
        response = clusters.next(snapshot, revision)
        return (CLUSTER, response) if response else None

    def _refers(self, snapshot: Snapshot) -> bool:
        """Whether what may refer to clusters is still to be sent, or has not been answered."""
        later = ORDER[ORDER.index(CLUSTER) + 1 :]
        found = (self.subscriptions[each] for each in later if each in self.subscriptions)
        return any(each.is_waiting or each.has_news(snapshot) for each in found)

    def acknowledged(self) -> int:
        """Return the revision up to which the proxy has answered for every type it subscribed to.

        A proxy that has not asked for clusters and listeners is only starting: -1.
        """
        if not self.subscriptions.keys() >= {CLUSTER, LISTENER}:
            return -1
        return min(each.acknowledged for each in self.subscriptions.values())

    def is_settled(self, names: frozenset[str], snapshot: Snapshot) -> bool:
        """Whether the proxy, once started, has answered for what `names` are now, of any type."""
        if not self.subscriptions.keys() >= {CLUSTER, LISTENER}:
            return False
        return all(each.is_settled(names, snapshot) for each in self.subscriptions.values())

    @property
    def responses(self) -> int:
        """How many responses were sent."""
        return sum(each.responses for each in self.subscriptions.values())

    def refusals(self) -> tuple[Refusal, ...]:
        """Return what the proxy refuses at present."""
        return tuple(refusal for each in self.subscriptions.values() for refusal in each.refusals())
