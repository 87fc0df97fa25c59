import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.model import addresses
from outgate.model.addresses import IPV4, IPV6, RAW_IPV4, RAW_IPV6, Allocation
from outgate.model.names import Name

FAST = settings(max_examples=50, deadline=None, database=None, derandomize=True)
A, B = Name("default", "a"), Name("default", "b")


def test_an_address_is_the_same_in_every_process_and_version() -> None:
    found = Allocation().assign([(Name("default", "externalbin"), False)])
    (address,) = found.addresses.values()
    # Connections that are open across an upgrade lead by this address.
    assert (str(address.ipv4), str(address.ipv6)) == ("240.240.20.227", "2001:2::14e3")


def test_both_families_come_from_their_ranges() -> None:
    found = Allocation().assign([(A, False), (B, True)]).addresses
    assert found[A].ipv4 in IPV4
    assert found[A].ipv6 in IPV6
    assert found[A].ipv4 not in RAW_IPV4
    assert found[A].ipv6 not in RAW_IPV6
    assert found[B].ipv4 in RAW_IPV4
    assert found[B].ipv6 in RAW_IPV6


def test_other_services_coming_and_going_leave_an_address_alone() -> None:
    first = Allocation().assign([(A, False)])
    second = first.assign([(Name("x", f"s{n}"), False) for n in range(200)])
    third = second.assign([(A, False)], [Name("x", "s1")])
    assert first.addresses[A] == second.addresses[A] == third.addresses[A]
    assert Name("x", "s1") not in third.addresses


def test_a_change_is_a_new_value() -> None:
    first = Allocation().assign([(A, False)])
    first.assign([(B, False)], [A])
    assert set(first.addresses) == {A}


def test_a_service_that_gets_a_plain_tcp_port_moves_to_the_other_half_and_back() -> None:
    first = Allocation().assign([(A, False)])
    raw = first.assign([(A, True)])
    assert raw.addresses[A].ipv4 in RAW_IPV4
    assert first.addresses[A] not in raw.taken
    assert raw.assign([(A, False)]) == first


@FAST
@given(st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.booleans()), max_size=40))
def test_no_two_services_share_an_address(steps: list[tuple[int, bool, bool]]) -> None:
    allocation = Allocation()
    for number, raw, goes in steps:
        name = Name("n", f"s{number}")
        allocation = allocation.assign([] if goes else [(name, raw)], [name] if goes else [])
    assert {address: name for name, address in allocation.addresses.items()} == allocation.taken
    assert len({each.ipv4 for each in allocation.taken}) == len(allocation.taken)
    assert len({each.ipv6 for each in allocation.taken}) == len(allocation.taken)


class TestCollisions:
    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Three addresses in each half, as 32766 would take too long to fill."""
        monkeypatch.setattr(addresses, "_SLOTS", 3)

    def test_the_next_free_one_is_taken(self) -> None:
        names = [Name("n", f"s{n}") for n in range(3)]
        found = Allocation().assign((name, False) for name in names)
        assert {str(each.ipv4) for each in found.addresses.values()} == {
            "240.240.0.1",
            "240.240.0.2",
            "240.240.0.3",
        }

    def test_one_that_is_given_back_is_taken_again(self) -> None:
        names = [Name("n", f"s{n}") for n in range(3)]
        full = Allocation().assign((name, False) for name in names)
        assert full.assign([(A, False)], names[:1]).addresses[A] == full.addresses[names[0]]

    def test_when_all_are_taken_it_says_so(self) -> None:
        full = Allocation().assign((Name("n", f"s{n}"), False) for n in range(3))
        with pytest.raises(OverflowError, match="all 3 virtual addresses"):
            full.assign([(A, False)])
        # The other half is not full.
        assert full.assign([(A, True)]).addresses[A].ipv4 in RAW_IPV4


def test_a_hash_of_the_name_decides() -> None:
    slot = int.from_bytes(hashlib.blake2b(b"a.default", digest_size=8).digest()) % 32766
    assert Allocation().assign([(A, False)]).addresses[A].ipv4 == IPV4[slot + 1]
