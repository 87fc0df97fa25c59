"""Virtual addresses: what a declared name resolves to inside, so that a connection says which service it is for.

IPv4 addresses are from 240.240.0.0/16, in the reserved 240.0.0.0/4 (RFC 1112), and IPv6 from 2001:2::/48, for
benchmarking (RFC 5180): no real destination has either. The upper half of each is for services with a plain TCP port.
The firewall sends that half to a listener that does not wait for the client's first bytes, as protocol detection must.
"""

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from outgate.model.names import Name

IPV4 = ipaddress.IPv4Network("240.240.0.0/16")
IPV6 = ipaddress.IPv6Network("2001:2::/48")
RAW_IPV4 = ipaddress.IPv4Network("240.240.128.0/17")
RAW_IPV6 = ipaddress.IPv6Network("2001:2:0:8000::/49")

_SLOTS = RAW_IPV4.num_addresses - 2
"""Addresses in each half, without its first and last, which some systems treat as network and broadcast."""


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """The pair that a name resolves to, always both families: an NXDOMAIN for one breaks some resolvers."""

    ipv4: ipaddress.IPv4Address
    ipv6: ipaddress.IPv6Address


def _address(slot: int, *, raw: bool) -> Address:
    half = RAW_IPV4 if raw else IPV4
    half6 = RAW_IPV6 if raw else IPV6
    return Address(half[slot + 1], half6[slot + 1])


@dataclass(frozen=True, slots=True)
class Allocation:
    """Which service has which address; immutable, so that one change is a new value."""

    addresses: Mapping[Name, Address] = field(default_factory=lambda: MappingProxyType({}))
    taken: Mapping[Address, Name] = field(default_factory=lambda: MappingProxyType({}))

    def assign(
        self, wanted: Iterable[tuple[Name, bool]], gone: Iterable[Name] = ()
    ) -> "Allocation":
        """Give each of `wanted` (name, has a plain TCP port) an address, and take those of `gone` back.

        A name keeps its address while its kind of port stays; the first choice is a hash of the name, so that a
        restart, or another replica, comes to the same one unless two names collide. `OverflowError` when full.
        """
        addresses, taken = dict(self.addresses), dict(self.taken)
        for name in gone:
            if name in addresses:
                del taken[addresses.pop(name)]
        for name, raw in wanted:
            held = addresses.get(name)
            if held is not None and (held.ipv4 in RAW_IPV4) == raw:
                continue
            if held is not None:
                del taken[addresses.pop(name)]
            addresses[name] = _free(name, taken, raw=raw)
            taken[addresses[name]] = name
        return Allocation(addresses, taken)


def _free(name: Name, taken: Mapping[Address, Name], *, raw: bool) -> Address:
    first = int.from_bytes(hashlib.blake2b(str(name).encode(), digest_size=8).digest())
    for step in range(_SLOTS):
        candidate = _address((first + step) % _SLOTS, raw=raw)
        if candidate not in taken:
            return candidate
    raise OverflowError(f"all {_SLOTS} virtual addresses are taken")
