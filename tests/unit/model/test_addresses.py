import hashlib
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.model import addresses
from outgate.model.addresses import (
    IPV4,
    IPV6,
    RAW_IPV4,
    RAW_IPV6,
    SHARED,
    Allocation,
    Claim,
    Region,
)
from outgate.model.names import Name

FAST = settings(max_examples=200, deadline=None, database=None, derandomize=True)
A, B = Name("default", "a"), Name("default", "b")


def region(raw: bool) -> Region:
    return Region.RAW if raw else Region.HTTP


def assign(before: Allocation, *wanted: Claim, gone: Iterable[Name] = ()) -> Allocation:
    return before.assign(wanted, gone)[0]


def claims(count: int, *, raw: bool = False) -> list[Claim]:
    return [Claim(Name("n", f"s{number}"), region(raw)) for number in range(count)]


def test_an_address_is_the_same_in_every_process_and_version() -> None:
    found = assign(Allocation(), Claim(Name("default", "externalbin"), Region.HTTP))
    (address,) = found.addresses.values()
    # Connections that are open across an upgrade lead by this address.
    assert (str(address.ipv4), str(address.ipv6)) == ("240.240.9.49", "2001:2::931")


def test_a_hash_of_the_name_decides() -> None:
    slot = int.from_bytes(hashlib.blake2b(b"a.default", digest_size=8).digest()) % 16382
    assert assign(Allocation(), Claim(A, Region.HTTP)).addresses[A].ipv4 == IPV4[slot + 1]


def test_both_families_come_from_their_ranges() -> None:
    found = assign(Allocation(), Claim(A, Region.HTTP), Claim(B, Region.RAW)).addresses
    assert found[A].ipv4 in IPV4
    assert found[A].ipv6 in IPV6
    assert found[A].ipv4 not in RAW_IPV4
    assert found[A].ipv6 not in RAW_IPV6
    assert found[B].ipv4 in RAW_IPV4
    assert found[B].ipv6 in RAW_IPV6


def test_what_claims_nothing_shares_an_address_that_nothing_else_has() -> None:
    assert Allocation().address(A) == SHARED
    assert SHARED.ipv4 in IPV4
    assert SHARED.ipv6 in IPV6
    assert SHARED.ipv4 not in RAW_IPV4
    assert SHARED.ipv6 not in RAW_IPV6
    assert SHARED not in {addresses._address(slot, Region.HTTP) for slot in (0, 16381)}


def test_other_services_coming_and_going_leave_an_address_alone() -> None:
    first = assign(Allocation(), Claim(A, Region.HTTP))
    second = assign(first, *claims(200))
    third = assign(second, Claim(A, Region.HTTP), gone=[Name("n", "s1")])
    assert first.addresses[A] == second.addresses[A] == third.addresses[A]
    assert Name("n", "s1") not in third.addresses


def test_a_change_is_a_new_value() -> None:
    first = assign(Allocation(), Claim(A, Region.HTTP))
    assign(first, Claim(B, Region.HTTP), gone=[A])
    assert set(first.addresses) == {A}


def test_a_service_that_gets_a_plain_tcp_port_moves_to_another_region_and_back() -> None:
    first = assign(Allocation(), Claim(A, Region.HTTP))
    raw = assign(first, Claim(A, Region.RAW))
    assert raw.addresses[A].ipv4 in RAW_IPV4
    assert assign(raw, Claim(A, Region.HTTP)) == first


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight addresses in each region, so that most services meet others."""
    monkeypatch.setattr(addresses, "_SLOTS", 8)


Step = tuple[int, Region, bool, int]
STEPS = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from(Region), st.booleans(), st.integers(0, 2)),
    max_size=40,
)


@pytest.mark.usefixtures("few")
@FAST
@given(STEPS, st.integers(1, 5))
def test_any_order_of_events_ends_as_a_fresh_start_does(steps: list[Step], together: int) -> None:
    """Two replicas, one of which is older than the other, answer alike."""
    there: dict[Name, Claim] = {}
    allocation = Allocation()
    for start in range(0, len(steps), together):
        wanted, gone = dict[Name, Claim](), set[Name]()
        for number, where, goes, day in steps[start : start + together]:
            claim = Claim(Name("n", f"s{number}"), where, f"2026-01-0{day + 1}T00:00:00Z")
            wanted.pop(claim.name, None)
            gone.discard(claim.name)
            if goes:
                gone.add(claim.name)
            else:
                wanted[claim.name] = claim
        there = {name: each for name, each in (there | wanted).items() if name not in gone}
        before = allocation
        allocation, others = before.assign(wanted.values(), gone)
        moved = {
            name
            for name in there.keys() - wanted.keys()
            if before.address(name) != allocation.address(name)
        }
        assert moved == others - wanted.keys()
    fresh = assign(Allocation(), *sorted(there.values(), key=lambda each: hash(each.name)))
    assert fresh == allocation
    assert len(set(allocation.addresses.values())) == len(allocation.addresses)
    for where in Region:
        several = sorted((each for each in there.values() if each.region is where), key=_rank)
        # The definition: one after the other, each takes the first that is free.
        taken: dict[int, Name] = {}
        for each in several[:8]:
            first = addresses._first(each.name)
            slot = next((first + n) % 8 for n in range(8) if (first + n) % 8 not in taken)
            taken[slot] = each.name
        expected = {name: addresses._address(slot, where) for slot, name in taken.items()}
        assert expected == {
            name: address
            for name, address in allocation.addresses.items()
            if there[name].region is where
        }


def _rank(claim: Claim) -> tuple[str, Name]:
    return claim.rank


@pytest.mark.usefixtures("few")
class TestWhenOneIsFull:
    def test_the_oldest_have_one(self) -> None:
        old = [Claim(each.name, Region.RAW, "2026-01-01T00:00:00Z") for each in claims(8)]
        young = Claim(A, Region.RAW, "2026-01-02T00:00:00Z")
        found, others = Allocation().assign([young])[0].assign(old)
        assert others == {A}
        assert found.address(A) is None
        assert None not in {found.address(each.name) for each in old}
        # As soon as there is room it has one.
        later, others = found.assign((), [old[3].name])
        assert A in others
        assert later.address(A) is not None

    def test_http_does_without(self) -> None:
        found = assign(Allocation(), *claims(9))
        assert [found.address(each.name) for each in claims(9)].count(SHARED) == 1

    def test_the_other_regions_are_not(self) -> None:
        found = assign(Allocation(), *claims(9), Claim(A, Region.RAW))
        assert found.addresses[A].ipv4 in RAW_IPV4


def test_the_regions_are_four_quarters_and_the_firewall_knows_the_upper_two() -> None:
    for ranges, whole, raw in (
        ([each.networks[0] for each in Region], IPV4, RAW_IPV4),
        ([each.networks[1] for each in Region], IPV6, RAW_IPV6),
    ):
        assert list(whole.subnets(2)) == ranges
        assert [each for each in Region if ranges[each].subnet_of(raw)] == [  # type: ignore[arg-type]
            Region.RAW,
            Region.RAW_LOCAL,
        ]


def test_all_who_declare_a_host_share_its_address() -> None:
    host = addresses.holder(Name("a", "api.example.com"))
    assert host == addresses.holder(Name("b", "api.example.com"))
    found = assign(Allocation(), Claim(host, Region.SNI_LOCAL))
    assert found.address(Name("a", "api.example.com")) == found.addresses[host]
    assert found.addresses[host].ipv4 in Region.SNI_LOCAL.networks[0]
    assert addresses.holder(A) == A


def test_it_ends_soon_when_one_is_full() -> None:
    many = claims(16382 + 500, raw=True)
    found = assign(Allocation(), *many)
    assert len(found.addresses) == 16382
    assert len(assign(found, gone=[many[0].name]).addresses) == 16382
