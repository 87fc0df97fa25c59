"""Where everything of a cluster is: one folder, one name, one range of addresses, all computed from its index.

So a later run finds what one that was killed has left, and several clusters can be on one machine.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from outgate.internet.links import has_ipv6

COUNT = 16
"""How many clusters there can be on one machine; 0 is the one of `make cluster-up`."""
NODE = "node1"
API_PORT = 6443

# On a disk, and not below /run, which is another one for the node.
ROOT = Path("/var/tmp/outgate-cluster")  # noqa: S108 - only root may write in it, see `claims`
# Private ranges (RFC 1918, RFC 4193).
_RANGE4 = IPv4Network("10.87.0.0/16")
_RANGE6 = IPv6Network("fd00:87::/48")

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Place:
    """The place of cluster number `index` (0 to 15); with IPv6 where the machine has it."""

    index: int

    @property
    def name(self) -> str:
        """What its cgroups and its link on the host are called."""
        return f"ogk-{self.index}"

    @property
    def folder(self) -> Path:
        """The folder of all its files; it is there as long as anything of the cluster may be."""
        return ROOT / str(self.index)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "admin.kubeconfig"

    @property
    def containerd(self) -> Path:
        """The socket of containerd."""
        return self.folder / "containerd.sock"

    @property
    def link_nets(self) -> tuple[Network, ...]:
        """The link between host (first address) and node (second)."""
        return self._nets(0, 24, 64)

    @property
    def internet_nets(self) -> tuple[Network, ...]:
        """The link between the small internet (first address) and node (second)."""
        return self._nets(1, 24, 64)

    @property
    def pod_nets(self) -> tuple[Network, ...]:
        """The ranges of the pods."""
        return self._nets(2, 24, 64)

    @property
    def service_nets(self) -> tuple[Network, ...]:
        """The ranges of the Services."""
        return self._nets(8, 21, 112)

    @property
    def node_address(self) -> str:
        """The node's IPv4 address."""
        return str(self.link_nets[0][2])

    @property
    def dns_address(self) -> str:
        """The IPv4 address of the Service kube-dns."""
        return str(self.service_nets[0][10])

    def _nets(self, number: int, length4: int, length6: int) -> tuple[Network, ...]:
        """Return one of the 16 parts of the cluster's share, of IPv4, and of IPv6 if there is."""
        number += 16 * self.index
        net4 = IPv4Network((int(_RANGE4.network_address) + (number << 8), length4))
        net6 = IPv6Network((int(_RANGE6.network_address) + (number << 64), length6))
        return (net4, net6) if has_ipv6() else (net4,)


def comma(nets: tuple[Network, ...]) -> str:
    """Return ranges as flags want them."""
    return ",".join(map(str, nets))
