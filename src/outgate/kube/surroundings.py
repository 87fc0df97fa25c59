"""Learns which ranges are inside the cluster, and tells sidecars, pods to come and its own policies."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from outgate.errors import UsageError
from outgate.inject import bootstrap
from outgate.kube import kinds, ranges
from outgate.kube.client import Client
from outgate.kube.fleet import Fleet
from outgate.kube.namespaces import Namespaces
from outgate.kube.policing import Policies
from outgate.kube.watching import Changes, Follower
from outgate.model.names import Name
from outgate.model.workloads import Network

_log = logging.getLogger(__name__)

Objects = dict[Name, Mapping[str, Any]]


@dataclass(slots=True, eq=False)
class Surroundings:
    """What is inside: `given`, or what ServiceCIDRs and Nodes say; nobody is told before `complete` is set."""

    given: tuple[Network, ...]
    fleet: Fleet
    policies: Policies
    namespaces: Namespaces
    complete: asyncio.Event
    _cidrs: Objects = field(default_factory=dict)
    _nodes: Objects = field(default_factory=dict)

    def followers(self, client: Client) -> list[Follower]:
        """Return what reads them; nothing where they are given."""
        if self.given:
            return []
        return [
            Follower(client, kinds.SERVICE_CIDR, lambda found: self._take(self._cidrs, found)),
            Follower(client, kinds.NODE, lambda found: self._take(self._nodes, found)),
        ]

    def require(self, *, absent: bool) -> None:
        """Refuse to go on without; `absent` says that the API server lacks a kind that was asked for."""
        if not self.given:
            require_ranges(self._cidrs.values(), self._nodes.values(), absent=absent)

    def tell(self) -> None:
        """Tell sidecars, and pods to come, what is inside the cluster."""
        pods = ranges.pods(self._nodes.values())
        found = set(self.given) or ranges.services(self._cidrs.values()) | pods
        self.fleet.inside(tuple(sorted(found, key=str)))
        self.policies.inside(found)
        self.namespaces.hold(bootstrap.RANGES_KEY, ranges.written(found))
        # Ranges that were set are all that there will be.
        around = () if self.given else ranges.around(pods)
        self.namespaces.hold(bootstrap.REACH_KEY, ranges.written(around))

    def _take(self, kept: Objects, changes: Changes) -> None:
        # A node's status changes every few seconds; only what it gives to pods matters.
        for name, item in changes.items():
            found = {"spec": item.get("spec")} if item else None
            if found and found != kept.get(name):
                for problem in ranges.problems(found):
                    _log.warning("%s: %s", name.name, problem)
            keep(kept, {name: found})
        if self.complete.is_set():
            self.tell()


def keep(kept: Objects, changes: Changes) -> None:
    """Note objects that changed, and forget those that are gone."""
    for name, item in changes.items():
        if item is None:
            kept.pop(name, None)
        else:
            kept[name] = item


def require_ranges(
    cidrs: Iterable[Mapping[str, Any]], nodes: Iterable[Mapping[str, Any]], *, absent: bool
) -> None:
    """Refuse to guess what is inside the cluster: calls there would be denied, or calls outside not be captured."""
    unsaid = "no ServiceCIDR says which ranges Services have"
    if absent:
        unsaid = (
            "this Kubernetes has no ServiceCIDRs, which say which ranges Services have from 1.33 on"
        )
    for found, what in (
        (ranges.services(cidrs), unsaid),
        (ranges.pods(nodes), "no Node says which addresses it gives to pods (podCIDRs)"),
    ):
        if not found:
            hint = "outgate install --cluster-ranges=RANGES, with those of Services and of pods"
            raise UsageError(what, hint=hint)
