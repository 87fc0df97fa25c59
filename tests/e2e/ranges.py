"""Ranges of addresses, as short as tests want to say them."""

import ipaddress


def networks(several: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(each) for each in several)
