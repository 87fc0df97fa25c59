"""What is captured in a workload's network namespace, as data: the one source of every rendering."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

IPv4 = ipaddress.IPv4Network
IPv6 = ipaddress.IPv6Network
Network = IPv4 | IPv6

VIRTUAL = (IPv4("240.240.0.0/16"), IPv6("2001:2::/48"))
"""Ranges that declared names resolve to: they are captured always, whatever else is."""
NEIGHBOURS = (133, 135, 136, 143)
"""ICMPv6 types by which a namespace finds its neighbours (RFC 4861) and says which groups it is in (RFC 3810)."""
ON_LINK = (IPv6("fe80::/10"), IPv6("ff02::/16"))
"""Where these may always go: no router forwards what is for a link (RFC 4291), so that no data leaves in them."""
DNS = 53
LOG_PREFIX = "outgate-denied"


@dataclass(frozen=True, slots=True)
class CaptureRules:
    """What happens to a workload's outbound packets.

    TCP goes to `capture_port`, or to `raw_port` where its destination is in `raw_ranges`; DNS over UDP, to any server,
    goes to `dns_port` (None: it is left alone). With `resolver_ports` so does DNS over TCP, and whatever is for one of
    those: a workload must not choose by itself which resolver of ours it asks.
    `include`: None captures everything, else only these networks. The packets of `proxy_uid`, a sidecar's own, are not
    redirected, as they would come back to it; they may go where all may, and to `proxy_reach`. `exempt_local` is for a
    namespace with a network, as in Kubernetes: its own addresses are exempt, and others may call it; in all others
    every address is its own. `on_link` are its links' networks. With `sealed`, what is captured but is neither TCP nor
    DNS is refused at once, and reported to the nflog group `log_group`; so is what the proxy's user sends anywhere
    else, so that becoming that user opens nothing.
    """

    capture_port: int
    raw_port: int
    raw_ranges: tuple[Network, ...] = ()
    dns_port: int | None = None
    resolver_ports: tuple[int, ...] = ()
    proxy_uid: int | None = None
    proxy_reach: tuple[Network, ...] = ()
    include: tuple[Network, ...] | None = None
    exclude: tuple[Network, ...] = ()
    include_ports: tuple[int, ...] = ()
    exclude_ports: tuple[int, ...] = ()
    exempt_local: bool = False
    on_link: tuple[Network, ...] = ()
    sealed: bool = False
    log_group: int | None = None

    @property
    def closed(self) -> bool:
        """Whether no packet may enter, nor leave by an interface: there is none in such a namespace."""
        return self.sealed and self.include is None and not self.exempt_local

    def dns(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Return which ports of which protocols are DNS."""
        if self.dns_port is None:
            return ()
        ports = (DNS, *sorted(set(self.resolver_ports)))
        return (("udp", ports), ("tcp", ports)) if self.resolver_ports else (("udp", ports),)

    def always(self) -> tuple[Network, ...]:
        """Return the networks that nothing exempts, where something might: declared names lead to them."""
        return VIRTUAL if self.exclude or self.exclude_ports else ()

    def captured(self) -> tuple[Network, ...] | None:
        """Return the networks that are captured; None: all."""
        return None if self.include is None else (*self.include, *VIRTUAL)


def of_version(networks: tuple[Network, ...], version: int) -> tuple[Network, ...]:
    """Return the networks of one IP version."""
    return tuple(each for each in networks if each.version == version)


def collapsed(networks: Iterable[Network]) -> tuple[Network, ...]:
    """Return networks of one IP version, sorted, without those that others hold: nft may refuse overlaps."""
    return tuple(ipaddress.collapse_addresses(networks))  # type: ignore[type-var]
