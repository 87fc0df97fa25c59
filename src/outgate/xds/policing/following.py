"""Keeps what is programmed for policies in step with resources and pods, for every provider."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from outgate.model.assembling import Assembly, Change
from outgate.model.workloads import Workload
from outgate.settings import Settings
from outgate.xds.egress import Delta, Programmed
from outgate.xds.policing import programming, spaces
from outgate.xds.policing.connections import Place, is_connected
from outgate.xds.policing.effects import Counting
from outgate.xds.policing.programming import Policed
from outgate.xds.policing.spaces import Policies

Pods = Callable[[str], tuple[Workload, ...]]
"""Returns the pods of a namespace."""


@dataclass(slots=True)
class Policing:
    """What is programmed for policies; `counting` is the rate-limit service that there is.

    With `captured`, pods have listeners of their own, which ask for their namespace's filters: those are there for each
    namespace with a pod, whether or not it has policies.
    """

    captured: bool = False
    counting: Counting | None = None
    policed: Policed = field(default_factory=Policed)

    def start(self, settings: Settings) -> Delta:
        """Return what is there without any policy: listeners wait for it."""
        if settings.rate_limit_service:
            closed = settings.rate_limit_failure == "closed"
            self.counting = Counting(settings.rate_limit_service, closed)
        self.policed, delta = programming.program(self.policed, {}, (), self.counting)
        return delta

    def follow(
        self, change: Change, assembly: Assembly, programmed: Programmed, pods: Pods
    ) -> Delta:
        """Take in a change of resources, after which `programmed` is what is."""
        moved = any(map(is_connected, change.changed)) or bool(change.removed)
        changed = {each: self._of(each, assembly.policies(each), pods) for each in change.policies}
        if not changed and not (moved and self.policed.policies):
            return Delta()
        places = _places(programmed) if moved or not self.policed.policies else self.policed.places
        return self._program(changed, places)

    def update_pods(self, namespaces: Iterable[str], pods: Pods) -> Delta:
        """Take in that pods of some namespaces came, went, or have other labels."""
        known = self.policed.policies
        changed = {
            each: self._of(each, known.get(each, ()), pods)
            for each in namespaces
            if each in known or self.captured
        }
        return self._program(changed, self.policed.places) if changed else Delta()

    def _of(self, namespace: str, own: Policies, pods: Pods) -> tuple[Policies, spaces.Pods]:
        return own, pods(namespace) if own or self.captured else ()

    def _program(
        self,
        changed: dict[str, tuple[Policies, spaces.Pods]],
        places: tuple[Place, ...],
    ) -> Delta:
        self.policed, delta = programming.program(self.policed, changed, places, self.counting)
        return delta


def _places(programmed: Programmed) -> tuple[Place, ...]:
    """Return what can be called other than by HTTP, and where."""
    found = (
        (destination, programmed.allocation.address(held.name))
        for _, held in sorted(programmed.holders.items())
        for destination, _ in held.views()
        if is_connected(destination)
    )
    return tuple(Place(each, address) for each, address in found if address is not None)
