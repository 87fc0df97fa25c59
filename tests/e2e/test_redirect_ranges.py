"""Where packets end up in a namespace that has a way out, with both backends."""

from typing import Any

import pytest
from tests.e2e.ranges import networks

from outgate.firewall.nflog import NflogReader
from outgate.xds.naming import CAPTURE_PORT as CAPTURE
from outgate.xds.naming import RAW_PORT as RAW

pytestmark = pytest.mark.root

INCLUDED = ("192.0.2.0/24", "2001:db8:1::/48")
EXCLUDED = ("192.0.2.64/26", "2001:db8:1:8::/64")


@pytest.mark.parametrize(
    ("address", "captured"),
    [
        ("192.0.2.1", True),
        ("192.0.2.255", True),
        ("192.0.3.1", False),
        ("203.0.113.1", False),
        ("2001:db8:1::1", True),
        ("2001:db8:2::1", False),
        ("240.240.1.1", True),
        ("2001:2::1", True),
    ],
)
def test_only_included_ranges_and_declared_names_are_captured(
    linked: Any, address: str, captured: bool
) -> None:
    linked.rules(include=networks(INCLUDED))
    assert linked.tcp(address, 80) == ((CAPTURE, (address, 80)) if captured else "direct")


def test_names_that_are_not_declared_are_resolved_by_the_dns_listener_too(linked: Any) -> None:
    linked.rules(include=networks(INCLUDED))
    assert linked.udp("203.0.113.53", 53) == "answered by us"
    assert linked.udp("127.0.0.1", 53) == "answered by us"


def test_plain_tcp_services_are_captured_beside_ranges(linked: Any) -> None:
    linked.rules(include=networks(INCLUDED))
    assert linked.tcp("240.240.200.1", 22) == (RAW, ("240.240.200.1", 22))
    assert linked.tcp("2001:2:0:9000::1", 22) == (RAW, ("2001:2:0:9000::1", 22))


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8:1::1"])
def test_in_included_ranges_what_is_not_tcp_is_refused_and_reported(
    linked: Any, address: str
) -> None:
    linked.rules(include=networks(INCLUDED))
    reader = NflogReader(linked.inside.path, 28519)
    try:
        assert linked.udp(address, 443) == "refused"
        assert [(each.destination, each.port) for each in reader.read()] == [(address, 443)]
    finally:
        reader.close()


def test_outside_of_included_ranges_nothing_is_refused(linked: Any) -> None:
    linked.rules(include=networks(INCLUDED))
    # It leaves, and nobody answers.
    assert linked.udp("203.0.113.1", 8000) in ("silence", "refused")
    assert linked.tcp("203.0.113.1", 443) == "direct"


def test_excluded_ranges_are_left_alone_inside_included_ones(linked: Any) -> None:
    linked.rules(include=networks(INCLUDED), exclude=networks(EXCLUDED))
    assert linked.tcp("192.0.2.63", 80) == (CAPTURE, ("192.0.2.63", 80))
    assert linked.tcp("192.0.2.64", 80) == "direct"
    assert linked.tcp("2001:db8:1:8::1", 80) == "direct"
    assert linked.tcp("2001:db8:1:9::1", 80) == (CAPTURE, ("2001:db8:1:9::1", 80))


def test_excluded_ranges_are_left_alone_where_all_else_is_captured(linked: Any) -> None:
    linked.rules(sealed=False, exclude=networks(EXCLUDED))
    assert linked.tcp("192.0.2.64", 80) == "direct"
    assert linked.tcp("203.0.113.1", 80) == (CAPTURE, ("203.0.113.1", 80))


def test_ports(linked: Any) -> None:
    linked.rules(
        sealed=False, include=networks(INCLUDED), include_ports=(443,), exclude_ports=(80,)
    )
    assert linked.tcp("192.0.2.1", 80) == "direct"
    assert linked.tcp("192.0.2.1", 8000) == (CAPTURE, ("192.0.2.1", 8000))
    assert linked.tcp("203.0.113.1", 443) == (CAPTURE, ("203.0.113.1", 443))
    assert linked.tcp("203.0.113.1", 8000) == "direct"


def test_the_pods_own_addresses_are_left_alone_where_kubernetes_needs_it(linked: Any) -> None:
    linked.rules(sealed=False, exempt_local=True)
    # Nobody listens there.
    assert linked.tcp("198.51.100.2", 9) == "refused"
    assert linked.tcp("198.51.100.1", 80) == (CAPTURE, ("198.51.100.1", 80))


@pytest.mark.parametrize("address", ["203.0.113.1", "2001:db8:2::1"])
def test_with_everything_captured_a_way_out_is_of_no_use(linked: Any, address: str) -> None:
    linked.rules()
    assert linked.tcp(address, 80) == (CAPTURE, (address, 80))
    # Dropped, or refused where the tool can say so: it does not leave.
    assert linked.udp(address, 443) in ("silence", "refused")


def test_a_sidecars_own_packets_do_not_come_back_to_it(linked: Any) -> None:
    linked.rules(sealed=False, proxy_uid=1337)
    assert linked.tcp("203.0.113.1", 80) == (CAPTURE, ("203.0.113.1", 80))
    assert linked.tcp("203.0.113.1", 80, uid=1337) == "direct"


@pytest.mark.parametrize("uid", [0, 1337])
def test_beside_ranges_a_sidecars_user_gets_where_all_get(linked: Any, uid: int) -> None:
    linked.rules(
        include=networks(INCLUDED),
        exclude=networks(EXCLUDED),
        include_ports=(443,),
        proxy_uid=1337,
    )
    for address, port in (("192.0.2.64", 80), ("203.0.113.1", 80)):
        assert linked.tcp(address, port, uid=uid) == "direct"
    for address, port in (("192.0.2.1", 80), ("203.0.113.1", 443), ("240.240.1.1", 80)):
        captured = (CAPTURE, (address, port))
        assert linked.tcp(address, port, uid=uid) == ("refused" if uid else captured)
