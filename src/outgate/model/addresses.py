"""Virtual addresses: what a declared name resolves to inside, so that a connection says which service it is for.

IPv4 addresses are from 240.240.0.0/16, in the reserved 240.0.0.0/4 (RFC 1112), and IPv6 from 2001:2::/48, for
benchmarking (RFC 5180): no real destination has either. Each has four regions, by which a connection is known before it
has said anything. The firewall sends the upper two, for plain TCP, to a listener that does not wait for the client's
first bytes, as protocol detection must. In a local region, what is found depends on the caller's namespace.

Several controllers answer for the same names, and one's answer meets another's egress. So who has which address depends
on the services that there are now, and on nothing that was before: not on the order in which they were seen.
"""

import enum
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


class Region(enum.IntEnum):
    """Where an address is from: the number is its quarter of each range, in order."""

    HTTP = 0
    """Found by the Host, or by TLS's server name alone."""
    SNI_LOCAL = 1
    """With TLS that is passed through, for callers of some namespaces only: found by the server name and the caller."""
    RAW = 2
    """With plain TCP: found by the address. So are wildcards, which are told apart by name further on."""
    RAW_LOCAL = 3
    """Those of callers in some namespaces only."""

    @property
    def is_raw(self) -> bool:
        """Whether a connection is found by its address, and nothing waits for the client's first bytes."""
        return self >= Region.RAW

    @property
    def is_local(self) -> bool:
        """Whether what is found depends on the caller's namespace."""
        return self in (Region.SNI_LOCAL, Region.RAW_LOCAL)

    @property
    def networks(self) -> tuple[ipaddress.IPv4Network, ipaddress.IPv6Network]:
        """Its part of each range."""
        return _NETWORKS[self]


_NETWORKS = tuple(zip(IPV4.subnets(2), IPV6.subnets(2), strict=True))
LOCAL = (Region.SNI_LOCAL, Region.RAW_LOCAL)
_SLOTS = _NETWORKS[0][0].num_addresses - 2
"""Addresses in each region, without its first and last, which some systems treat as network and broadcast."""


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """The pair that a name resolves to, always both families: an NXDOMAIN for one breaks some resolvers."""

    ipv4: ipaddress.IPv4Address
    ipv6: ipaddress.IPv6Address


_LAST = _NETWORKS[0][0].num_addresses - 1
_SHARED = {
    region: Address(region.networks[0][_LAST], region.networks[1][_LAST])
    for region in (Region.HTTP, Region.SNI_LOCAL)
}
SHARED = _SHARED[Region.HTTP]
"""For names that need no address of their own: HTTP finds its service by the Host, and nothing else has one there."""

FULL = f"there is no virtual address left: {_SLOTS} older ones with a plain TCP port have them all"


@dataclass(frozen=True, slots=True)
class Claim:
    """What is to have an address, and in which region; `created` as RFC 3339 has it, or empty.

    A Service claims by its name, a host by `holder`: those who declare the same host share its address.
    """

    name: Name
    region: Region
    created: str = ""

    @property
    def rank(self) -> tuple[str, Name]:
        """The lower one of two has the choice: the older, else the one whose name comes first."""
        return self.created, self.name


def holder(name: Name) -> Name:
    """Return by which name a destination's address is held: a Service's own, a host's without the namespace."""
    return Name("", name.name) if "." in name.name else name


Slots = Mapping[int, Claim]
"""Who has which slot of a region."""


def _address(slot: int, region: Region) -> Address:
    ipv4, ipv6 = region.networks
    return Address(ipv4[slot + 1], ipv6[slot + 1])


@dataclass(frozen=True, slots=True)
class Allocation:
    """What has which address; immutable, so that one change is a new value.

    Each takes the first address, from the one that a hash of its name says, that nothing of a lower rank has. Of those
    that share a region, as many as fit into it have one, by rank.
    """

    claims: Mapping[Name, Claim] = field(default_factory=lambda: MappingProxyType({}))
    addresses: Mapping[Name, Address] = field(default_factory=lambda: MappingProxyType({}))
    regions: Mapping[Region, Slots] = field(
        default_factory=lambda: MappingProxyType({each: {} for each in Region})
    )

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
        regions, addresses = dict(self.regions), dict(self.addresses)
        changed: set[Name] = set()
        for region in Region:
            out = [each for each in leaving if each.region is region]
            new = [each for each in coming.values() if each.region is region]
            if not out and not new:
                continue
            before = self.regions[region]
            if len(before) == _SLOTS or len(before) - len(out) + len(new) > _SLOTS:
                slots, touched = _rebuilt(each for each in claims.values() if each.region is region)
            else:
                slots, touched = _changed(before, out, new)
            regions[region] = slots
            changed |= _note(addresses, (before, slots), touched, region)
        others = changed - coming.keys() - {each.name for each in leaving}
        return Allocation(claims, addresses, regions), frozenset(others)

    def address(self, name: Name) -> Address | None:
        """Return what a Service's or host's name resolves to; None for plain TCP for which there was no room.

        Names that claim nothing, and those without plain TCP for which there was no room, share one.
        """
        held = holder(name)
        claim = self.claims.get(held)
        shared = _SHARED.get(claim.region) if claim else SHARED
        return self.addresses.get(held, shared)

    def refused(self) -> frozenset[Name]:
        """Return what has plain TCP and got no address, as there was no room; hosts as `holder` names them."""
        full = {each for each in Region if each.is_raw and len(self.regions[each]) >= _SLOTS}
        return frozenset(
            name
            for name, claim in (self.claims.items() if full else ())
            if claim.region in full and name not in self.addresses
        )


def _first(name: Name) -> int:
    return int.from_bytes(hashlib.blake2b(str(name).encode(), digest_size=8).digest()) % _SLOTS


def _changed(before: Slots, out: Iterable[Claim], new: Iterable[Claim]) -> tuple[Slots, set[int]]:
    """Return a region after a change, and the slots that were touched: the runs of neighbours of what changes."""
    slots = dict(before)
    touched: set[int] = set()
    for claim in out:
        _remove(slots, claim, touched)
    for claim in new:
        _insert(slots, claim, touched)
    return slots, touched


def _insert(slots: dict[int, Claim], claim: Claim, touched: set[int]) -> None:
    """Put a claim where it belongs; a younger one that was there goes on from there. There must be room."""
    slot = _first(claim.name)
    while (held := slots.get(slot)) is not None:
        if claim.rank < held.rank:
            slots[slot], claim = claim, held
            touched.add(slot)
        slot = (slot + 1) % _SLOTS
    slots[slot] = claim
    touched.add(slot)


def _remove(slots: dict[int, Claim], claim: Claim, touched: set[int]) -> None:
    """Take a claim out, and have those behind it, who may have gone past its slot, choose again."""
    slot = _first(claim.name)
    while slots[slot] != claim:
        slot = (slot + 1) % _SLOTS
    behind = []
    while (held := slots.pop(slot, None)) is not None:
        behind.append(held)
        touched.add(slot)
        slot = (slot + 1) % _SLOTS
    for each in sorted(behind[1:], key=lambda each: each.rank):
        _insert(slots, each, touched)


def _rebuilt(claims: Iterable[Claim]) -> tuple[Slots, set[int]]:
    """Return a region for which there may be too many, filled by rank; all of it is touched."""
    slots: dict[int, Claim] = {}
    # From each slot that is taken, one on the way to the next that is free: there may be no gap for thousands.
    onward = list(range(_SLOTS))
    for claim in sorted(claims, key=lambda each: each.rank)[:_SLOTS]:
        slot = _first(claim.name)
        while (further := onward[slot]) != slot:
            onward[slot] = slot = onward[further]
        slots[slot], onward[slot] = claim, (slot + 1) % _SLOTS
    return slots, set(range(_SLOTS))


def _note(
    addresses: dict[Name, Address],
    versions: tuple[Slots, Slots],
    touched: set[int],
    region: Region,
) -> set[Name]:
    """Change addresses to what a region says now, and not before; return whose have changed."""
    before, after = (
        {slots[slot].name: slot for slot in touched if slot in slots} for slots in versions
    )
    changed = {name for name in (*before, *after) if before.get(name) != after.get(name)}
    for name in changed:
        if name in after:
            addresses[name] = _address(after[name], region)
        elif addresses.get(name) == _address(before[name], region):
            # Else it has one in another region by now.
            del addresses[name]
    return changed
