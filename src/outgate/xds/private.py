"""Which destinations may be in ranges refused otherwise, so that the guard below Envoy lets their calls pass."""

from dataclasses import dataclass, field

from outgate.model.assembling import Change
from outgate.model.destinations import Destination, External
from outgate.model.names import Name
from outgate.traffic.references import Network
from outgate.xds import addressed, endpoints

Ranges = tuple[Network, ...]


def of(destination: Destination) -> frozenset[Ranges]:
    """Return each set of ranges that sockets to a destination may go to; most have none."""
    if not isinstance(destination, External):
        return frozenset()
    ports = destination.ports
    if destination.networks:
        ports += addressed.by_address(destination).ports
    return frozenset(found for port in ports if (found := endpoints.private(port)))


@dataclass(slots=True)
class Private:
    """Those of all destinations; a change costs what it touches, and those that have any."""

    _of: dict[Name, frozenset[Ranges]] = field(default_factory=dict)

    def follow(self, change: Change) -> None:
        """Take in what has become of destinations."""
        for name in change.removed:
            self._of.pop(name, None)
        for each in change.changed:
            self._of.pop(each.name, None)
            if found := of(each):
                self._of[each.name] = found

    def sets(self) -> frozenset[Ranges]:
        """Return each set once."""
        return frozenset().union(*self._of.values())
