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
)
from outgate.model.names import Name

FAST = settings(max_examples=200, deadline=None, database=None, derandomize=True)
A, B = Name("default", "a"), Name("default", "b")


def assign(before: Allocation, *wanted: Claim, gone: Iterable[Name] = ()) -> Allocation:
    return before.assign(wanted, gone)[0]


def claims(count: int, *, raw: bool = False) -> list[Claim]:
    return [Claim(Name("n", f"s{number}"), raw) for number in range(count)]


def test_an_address_is_the_same_in_every_process_and_version() -> None:
    found = assign(Allocation(), Claim(Name("default", "externalbin"), False))
    (address,) = found.addresses.values()
    # Connections that are open across an upgrade lead by this address.
    assert (str(address.ipv4), str(address.ipv6)) == ("240.240.20.227", "2001:2::14e3")


def test_a_hash_of_the_name_decides() -> None:
    slot = int.from_bytes(hashlib.blake2b(b"a.default", digest_size=8).digest()) % 32766
    assert assign(Allocation(), Claim(A, False)).addresses[A].ipv4 == IPV4[slot + 1]


def test_both_families_come_from_their_ranges() -> None:
    found = assign(Allocation(), Claim(A, False), Claim(B, True)).addresses
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
    assert SHARED not in {addresses._address(slot, raw=False) for slot in (0, 32765)}


def test_other_services_coming_and_going_leave_an_address_alone() -> None:
    first = assign(Allocation(), Claim(A, False))
    second = assign(first, *claims(200))
    third = assign(second, Claim(A, False), gone=[Name("n", "s1")])
    assert first.addresses[A] == second.addresses[A] == third.addresses[A]
    assert Name("n", "s1") not in third.addresses


def test_a_change_is_a_new_value() -> None:
    first = assign(Allocation(), Claim(A, False))
    assign(first, Claim(B, False), gone=[A])
    assert set(first.addresses) == {A}


def test_a_service_that_gets_a_plain_tcp_port_moves_to_the_other_half_and_back() -> None:
    first = assign(Allocation(), Claim(A, False))
    raw = assign(first, Claim(A, True))
    assert raw.addresses[A].ipv4 in RAW_IPV4
    assert assign(raw, Claim(A, False)) == first


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight addresses in each half, so that most services meet others."""
    monkeypatch.setattr(addresses, "_SLOTS", 8)


Step = tuple[int, bool, bool, int]
STEPS = st.lists(
    st.tuples(st.integers(0, 12), st.booleans(), st.booleans(), st.integers(0, 2)), max_size=40
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
        for number, raw, goes, day in steps[start : start + together]:
            claim = Claim(Name("n", f"s{number}"), raw, f"2026-01-0{day + 1}T00:00:00Z")
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
    for half in (False, True):
        several = sorted((each for each in there.values() if each.raw == half), key=_rank)
        # The definition: one after the other, each takes the first that is free.
        taken: dict[int, Name] = {}
        for each in several[:8]:
            first = addresses._first(each.name)
            slot = next((first + n) % 8 for n in range(8) if (first + n) % 8 not in taken)
            taken[slot] = each.name
        expected = {name: addresses._address(slot, raw=half) for slot, name in taken.items()}
        assert expected == {
            name: address
            for name, address in allocation.addresses.items()
            if there[name].raw == half
        }


def _rank(claim: Claim) -> tuple[str, Name]:
    return claim.rank


@pytest.mark.usefixtures("few")
class TestWhenOneIsFull:
    def test_the_oldest_have_one(self) -> None:
        old = [Claim(each.name, True, "2026-01-01T00:00:00Z") for each in claims(8)]
        young = Claim(A, True, "2026-01-02T00:00:00Z")
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

    def test_the_other_half_is_not(self) -> None:
        found = assign(Allocation(), *claims(9), Claim(A, True))
        assert found.addresses[A].ipv4 in RAW_IPV4


def test_it_ends_soon_when_one_is_full() -> None:
    many = claims(32766 + 500, raw=True)
    found = assign(Allocation(), *many)
    assert len(found.addresses) == 32766
    assert len(assign(found, gone=[many[0].name]).addresses) == 32766
