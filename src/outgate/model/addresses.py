"""Virtual addresses: what a declared name resolves to inside, so that a connection says which service it is for.

IPv4 addresses are from 240.240.0.0/16, in the reserved 240.0.0.0/4 (RFC 1112), and IPv6 from 2001:2::/48, for
benchmarking (RFC 5180): no real destination has either. The upper half of each is for services with a plain TCP port.
The firewall sends that half to a listener that does not wait for the client's first bytes, as protocol detection must.

Several controllers answer for the same names, and one's answer meets another's egress. So who has which address depends
on the services that there are now, and on nothing that was before: not on the order in which they were seen.
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


SHARED = Address(IPV4[RAW_IPV4.num_addresses - 1], IPV6[RAW_IPV4.num_addresses - 1])
"""For names that need no address of their own: HTTP finds its service by the Host, and nothing else has one there."""

FULL = (
    f"there is no virtual address left: {_SLOTS} older services with a plain TCP port have them all"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A service that is to have an address: `raw` with a plain TCP port, `created` as RFC 3339 has it, or empty."""

    name: Name
    raw: bool
    created: str = ""

    @property
    def rank(self) -> tuple[str, Name]:
        """The lower one of two has the choice: the older, else the one whose name comes first."""
        return self.created, self.name


Half = Mapping[int, Claim]
"""Who has which slot."""


def _address(slot: int, *, raw: bool) -> Address:
    half = RAW_IPV4 if raw else IPV4
    half6 = RAW_IPV6 if raw else IPV6
    return Address(half[slot + 1], half6[slot + 1])


@dataclass(frozen=True, slots=True)
class Allocation:
    """Which service has which address; immutable, so that one change is a new value.

    Each takes the first address, from the one that a hash of its name says, that no service of a lower rank has. Of
    those that share a half, as many as fit into it have one, by rank.
    """

    claims: Mapping[Name, Claim] = field(default_factory=lambda: MappingProxyType({}))
    addresses: Mapping[Name, Address] = field(default_factory=lambda: MappingProxyType({}))
    halves: Mapping[bool, Half] = field(
        default_factory=lambda: MappingProxyType({False: {}, True: {}})
    )
    """By whether it is that of plain TCP."""

    def assign(
        self, wanted: Iterable[Claim], gone: Iterable[Name] = ()
    ) -> tuple["Allocation", frozenset[Name]]:
        """Give each of `wanted` an address, and take those of `gone` back.

        Also returns the others whose address has changed by that: younger ones that gave way, or that moved up.
        """
        claims = dict(self.claims)
        coming = {each.name: each for each in wanted if claims.get(each.name) != each}
        leaving = [claims.pop(name) for name in (*gone, *coming) if name in claims]
        claims.update(coming)
        halves, addresses = dict(self.halves), dict(self.addresses)
        changed: set[Name] = set()
        for raw in (False, True):
            out = [each for each in leaving if each.raw == raw]
            new = [each for each in coming.values() if each.raw == raw]
            if not out and not new:
                continue
            before = self.halves[raw]
            if len(before) == _SLOTS or len(before) - len(out) + len(new) > _SLOTS:
                half, touched = _rebuilt(each for each in claims.values() if each.raw == raw)
            else:
                half, touched = _changed(before, out, new)
            halves[raw] = half
            changed |= _note(addresses, (before, half), touched, raw=raw)
        others = changed - coming.keys() - {each.name for each in leaving}
        return Allocation(claims, addresses, halves), frozenset(others)

    def address(self, name: Name) -> Address | None:
        """Return what a name resolves to; None for one with a plain TCP port for which there was no room.

        Names that claim nothing, and HTTP services for which there was no room, share one.
        """
        claim = self.claims.get(name)
        return self.addresses.get(name, None if claim and claim.raw else SHARED)

    def refused(self) -> frozenset[Name]:
        """Return the services with a plain TCP port for which there was no room."""
        if len(self.halves[True]) < _SLOTS:
            return frozenset()
        return frozenset(name for name in self.claims if self.address(name) is None)


def _first(name: Name) -> int:
    return int.from_bytes(hashlib.blake2b(str(name).encode(), digest_size=8).digest()) % _SLOTS


def _changed(before: Half, out: Iterable[Claim], new: Iterable[Claim]) -> tuple[Half, set[int]]:
    """Return a half after a change, and the slots that were touched: the runs of neighbours of what changes."""
    half = dict(before)
    touched: set[int] = set()
    for claim in out:
        _remove(half, claim, touched)
    for claim in new:
        _insert(half, claim, touched)
    return half, touched


def _insert(half: dict[int, Claim], claim: Claim, touched: set[int]) -> None:
    """Put a claim where it belongs; a younger one that was there goes on from there. There must be room."""
    slot = _first(claim.name)
    while (held := half.get(slot)) is not None:
        if claim.rank < held.rank:
            half[slot], claim = claim, held
            touched.add(slot)
        slot = (slot + 1) % _SLOTS
    half[slot] = claim
    touched.add(slot)


def _remove(half: dict[int, Claim], claim: Claim, touched: set[int]) -> None:
    """Take a claim out, and have those behind it, who may have gone past its slot, choose again."""
    slot = _first(claim.name)
    while half[slot] != claim:
        slot = (slot + 1) % _SLOTS
    behind = []
    while (held := half.pop(slot, None)) is not None:
        behind.append(held)
        touched.add(slot)
        slot = (slot + 1) % _SLOTS
    for each in sorted(behind[1:], key=lambda each: each.rank):
        _insert(half, each, touched)


def _rebuilt(claims: Iterable[Claim]) -> tuple[Half, set[int]]:
    """Return a half for which there may be too many, filled by rank; all of it is touched."""
    half: dict[int, Claim] = {}
    # From each slot that is taken, one on the way to the next that is free: there may be no gap for thousands.
    onward = list(range(_SLOTS))
    for claim in sorted(claims, key=lambda each: each.rank)[:_SLOTS]:
        slot = _first(claim.name)
        while (further := onward[slot]) != slot:
            onward[slot] = slot = onward[further]
        half[slot], onward[slot] = claim, (slot + 1) % _SLOTS
    return half, set(range(_SLOTS))


def _note(
    addresses: dict[Name, Address], halves: tuple[Half, Half], touched: set[int], *, raw: bool
) -> set[Name]:
    """Change addresses to what a half says now, and not before; return whose have changed."""
    before, after = ({half[slot].name: slot for slot in touched if slot in half} for half in halves)
    changed = {name for name in (*before, *after) if before.get(name) != after.get(name)}
    for name in changed:
        if name in after:
            addresses[name] = _address(after[name], raw=raw)
        elif addresses.get(name) == _address(before[name], raw=raw):
            # Else it has one in the other half by now.
            del addresses[name]
    return changed
