"""Which IPv6 networks are on a namespace's own links: what finds neighbours may go there, and no further.

IPv4 needs none of this, as ARP is no IP. Which networks they are stands in the routes (/proc/net/ipv6_route).
"""

import ipaddress
from collections.abc import Iterator
from pathlib import Path

ROUTES = Path("/proc/net/ipv6_route")
# linux/route.h, linux/ipv6_route.h
_GATEWAY, _LOCAL = 0x2, 0x80000000


def on_link(routes: str) -> tuple[ipaddress.IPv6Network, ...]:
    """Return the networks of the routes that lead to a link and to no router; a default route says nothing."""
    return tuple(sorted(set(_networks(routes))))


def here() -> tuple[ipaddress.IPv6Network, ...]:
    """Return those of this process's network namespace; none without IPv6."""
    try:
        return on_link(ROUTES.read_text(encoding="ascii"))
    except FileNotFoundError:
        return ()


def _networks(routes: str) -> Iterator[ipaddress.IPv6Network]:
    for line in routes.splitlines():
        # Destination, length, source, length, next hop, metric, two counters, flags: in hex; and the interface.
        destination, length, _, _, hop, _, _, _, flags, interface = line.split()
        network = ipaddress.IPv6Network((bytes.fromhex(destination), int(length, 16)))
        passed = int(flags, 16) & (_GATEWAY | _LOCAL) or int(hop, 16) or interface == "lo"
        if not passed and network.prefixlen and not network.is_multicast:
            yield network
