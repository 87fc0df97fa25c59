"""Addresses that are not for everyone: private, local, or with a meaning of their own. No name leads there unasked.

The ranges are those of the IANA special-purpose registries (RFC 6890 and what updates it) that are not globally
reachable, spelt out: a library's idea of "private" changes with its version (CVE-2024-4032).
"""

import ipaddress

from outgate.traffic.references import Network

REFUSED: tuple[Network, ...] = tuple(
    ipaddress.ip_network(each)
    for each in (
        "0.0.0.0/8",  # this network, RFC 791
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # shared address space, RFC 6598; 100.100.100.200 is a metadata service
        "127.0.0.0/8",  # loopback, RFC 1122
        "168.63.129.16/32",  # Azure's host, which answers guests
        "169.254.0.0/16",  # link-local, RFC 3927; metadata services
        "172.16.0.0/12",  # private, RFC 1918
        "192.0.0.0/24",  # IETF protocol assignments, RFC 6890
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.168.0.0/16",  # private, RFC 1918
        "198.18.0.0/15",  # benchmarking, RFC 2544
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved, RFC 1112; holds our virtual addresses and the broadcast address
        "::/96",  # unspecified, loopback, IPv4-compatible, RFC 4291
        "::ffff:0:0/96",  # IPv4-mapped, RFC 4291
        "64:ff9b::/96",  # IPv4 embedded, RFC 6052
        "64:ff9b:1::/48",  # the same, local, RFC 8215
        "100::/64",  # discard, RFC 6666
        "2001::/32",  # Teredo, RFC 4380: IPv4 embedded
        "2001:2::/48",  # benchmarking, RFC 5180; our virtual addresses
        "2001:10::/28",  # ORCHID, RFC 4843
        "2002::/16",  # 6to4, RFC 3056: IPv4 embedded
        "5f00::/16",  # segment routing, RFC 9602
        "fc00::/7",  # unique local, RFC 4193; fd00:ec2::254 is a metadata service
        "fe80::/10",  # link-local, RFC 4291
        "fec0::/10",  # site-local, RFC 3879
        "ff00::/8",  # multicast, RFC 4291
    )
)
"""The documentation ranges (RFC 5737, RFC 3849) are not among them: nothing is reached there, except in tests."""


def is_refused(address: str) -> bool:
    """Whether text is an IP address in one of them; a DNS name is not."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in REFUSED)
