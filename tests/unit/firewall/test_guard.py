import ipaddress

import pytest

from outgate.firewall import guard
from outgate.model.addresses import IPV4, IPV6
from outgate.xds import naming

TEN, SIX = ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254",
        "100.100.100.200", "168.63.129.16", "224.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.0.192",
        "::", "::1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "64:ff9b::a00:1", "2002:a00:1::", "2001::1",
        "fe80::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:2::1",
    ],
)  # fmt: skip
def test_what_a_name_may_not_resolve_to(address: str) -> None:
    assert refused(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1"]
)
def test_what_it_may(address: str) -> None:
    assert not refused(address)


def refused(address: str) -> bool:
    return any(ipaddress.ip_address(address) in network for network in guard.REFUSED)


def test_calls_cannot_come_back_to_virtual_addresses() -> None:
    for network in (IPV4, IPV6):
        assert refused(str(network[1]))


def test_what_is_allowed_comes_before_what_is_refused() -> None:
    text = guard.render("m", (TEN,), 5)
    assert text.index("ip daddr { 10.0.0.0/8 } accept") < text.index("goto refused\n")
    assert "meta mark != 0x6f67" in text


def test_ranges_of_one_set_may_overlap() -> None:
    text = guard.render("m", (TEN, ipaddress.ip_network("10.1.0.0/16")))
    assert "ip daddr { 10.0.0.0/8 } accept" in text


def test_each_set_of_ranges_has_a_mark_of_its_own_whatever_its_order() -> None:
    assert naming.socket_mark("m", ()) == naming.SOCKET_MARK
    marks = {naming.socket_mark("m", each) for each in ((TEN,), (SIX,), (TEN, SIX), (SIX, TEN))}
    assert len(marks) == 3
    assert all(mark & naming.MARK_MASK == naming.mark_of_mesh("m") for mark in marks)


def test_a_set_is_open_to_its_own_mark_only() -> None:
    sets = guard.permitted("m", [(TEN,), (SIX, TEN), (TEN,)])
    assert sorted(sets.values(), key=len) == [(TEN,), (TEN, SIX)]
    text = guard.render("m", by_mark=sets)
    assert (
        f"meta mark {naming.socket_mark('m', (TEN,)):#x} ip daddr {{ 10.0.0.0/8 }} accept" in text
    )
    assert (
        f"meta mark {naming.socket_mark('m', (TEN, SIX)):#x} ip6 daddr {{ fd00::/8 }} accept"
        in text
    )
    assert guard.render("m", by_mark=guard.permitted("m", [(SIX, TEN), (TEN,)])) == text


def test_another_mesh_leaves_the_sets_of_this_one_alone() -> None:
    mark = naming.socket_mark("m", (TEN,))
    for mesh, is_its_own in (("m", True), ("n", False)):
        assert (mark & naming.MARK_MASK == naming.mark_of_mesh(mesh)) is is_its_own
        assert f"!= {naming.mark_of_mesh(mesh):#x} accept" in guard.render(mesh)


def test_of_two_sets_with_one_mark_only_what_both_name_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(naming, "socket_mark", lambda *_: 1)
    assert guard.permitted("m", [(TEN,), (SIX, TEN)]) == {1: (TEN,)}
    assert guard.permitted("m", [(TEN,), (SIX,)]) == {}


def test_meshes_have_tables_of_their_own() -> None:
    assert guard.table("a-b") == "outgate_guard_a_b"
    assert guard.remove("a") != guard.remove("b")
