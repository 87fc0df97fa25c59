"""Address ranges as flags and annotations write them."""

import ipaddress

from outgate.errors import UsageError
from outgate.model.workloads import Network


def parse_ranges(text: str, flag: str) -> tuple[Network, ...]:
    """Read comma-separated CIDRs; empty or `*` means everything, which is an empty tuple.

    Host bits may be set (`10.0.0.1/24` is 10.0.0.0/24); a plain address is a range of one. UsageError names the flag,
    also where a `*` stands beside what is wrong.
    """
    # Not a list: somebody else may write this text, as long as they please.
    found: dict[Network, None] = {}
    parts = [part for each in text.split(",") if (part := each.strip())]
    for part in parts:
        if part == "*":
            continue
        try:
            network = _network(part)
        except ValueError as error:
            hint = "write CIDRs such as 10.0.0.0/24,2001:db8::/32"
            raise UsageError(f"{flag}: {part!r} is not an IP range: {error}", hint=hint) from error
        found[network] = None
    return () if "*" in parts else tuple(found)


def _network(text: str) -> Network:
    if "%" in text:
        raise ValueError("a range has no zone")
    network = ipaddress.ip_network(text, strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped:
        # No packet carries such an address: the range would let pass what it seems to capture.
        raise ValueError("packets to it are IPv4, write it as such")
    return network
