"""The small internet as a cluster's pods see it: connected with the node, and nothing else outside."""

from typing import Any

from tests.cluster import configs, links
from tests.cluster.node import Node
from tests.cluster.packets import Packets
from tests.cluster.parts import parts

from outgate.internet.manager import SmallInternet


class ClusterInternet(SmallInternet):
    """A small internet whose canary also tells of the packets that come from a cluster."""

    def __init__(self, node: Node) -> None:
        """Start nothing yet."""
        super().__init__()
        self._node, self._place = node, node.place
        self._packets: Packets | None = None

    def start(self) -> None:
        """Start it, and have the cluster's names and packets end there."""
        super().start()
        try:
            links.to_internet(self._place, self._node.network, self.namespace)
            self._packets = Packets(self.namespace, self._place.name)
            self._resolve(self.resolver)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it: pods resolve and reach nothing outside."""
        try:
            if self._packets is not None:
                self._packets.close()
                self._packets = None
                links.cut(self._node.network)
                self._resolve(None)
        finally:
            super().stop()

    def canary(self, since: int = 0) -> list[dict[str, Any]]:
        """Return what the small internet's own canary does, and the packets from pods and node."""
        records = super().canary()
        if self._packets is not None:
            records += self._packets.records()
        return sorted(records, key=lambda each: float(each["time"]))[since:]

    def _resolve(self, resolver: str | None) -> None:
        configs.write_corefile(self._place, resolver)
        dns = parts(self._place)["coredns"]
        self._node.stop(dns)
        self._node.begin(dns)
        self._node.wait_for(dns)
