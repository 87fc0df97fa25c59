"""Where each kind of packet from a sealed namespace ends up, with both backends."""

import ipaddress
import socket
import time
from typing import Any

import pytest

from outgate.firewall import apply as firewall
from outgate.firewall.nflog import NflogReader
from outgate.xds.naming import CAPTURE_PORT as CAPTURE
from outgate.xds.naming import RAW_PORT as RAW

pytestmark = pytest.mark.root

PROXY_UID = 1337
AT_ONCE = 0.5
"""Seconds; a packet that is dropped is tried again after one."""

ANY = (
    "192.0.2.1",
    "10.0.0.1",
    "169.254.169.254",
    "240.240.0.1",
    "2001:db8::1",
    "fd00::1",
    "2001:2::1",
)


@pytest.mark.parametrize("address", ANY)
def test_tcp_to_any_address_is_captured_with_its_destination(matrix: Any, address: str) -> None:
    assert matrix.tcp(address, 443) == (CAPTURE, (address, 443))
    assert matrix.tcp(address, 1) == (CAPTURE, (address, 1))


def test_ipv4_in_an_ipv6_socket_is_captured_as_ipv4(matrix: Any) -> None:
    mapped = matrix.tcp("::ffff:192.0.2.1", 80, family=socket.AF_INET6)
    assert mapped == (CAPTURE, ("192.0.2.1", 80))
    raw = matrix.tcp("::ffff:240.240.200.1", 22, family=socket.AF_INET6)
    assert raw == (RAW, ("240.240.200.1", 22))


@pytest.mark.parametrize(
    "address", ["240.240.128.1", "240.240.255.254", "2001:2:0:8000::1", "2001:2:0:ffff::1"]
)
def test_addresses_of_plain_tcp_services_arrive_where_nothing_waits(
    matrix: Any, address: str
) -> None:
    assert matrix.tcp(address, 5432) == (RAW, (address, 5432))


@pytest.mark.parametrize(
    "address", ["240.240.127.255", "240.241.0.1", "2001:2:0:7fff::1", "2001:2:1:8000::1"]
)
def test_addresses_beside_them_do_not(matrix: Any, address: str) -> None:
    assert matrix.tcp(address, 5432) == (CAPTURE, (address, 5432))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_loopback_is_left_alone(matrix: Any, address: str) -> None:
    assert matrix.tcp(address, 8000) == "direct"
    assert matrix.tcp(address, 9) == "refused"


@pytest.mark.parametrize(
    "address", ["192.0.2.53", "127.0.0.1", "127.0.0.53", "240.240.1.1", "2001:db8::53", "::1"]
)
def test_dns_to_any_server_is_answered_by_us(matrix: Any, address: str) -> None:
    assert matrix.udp(address, 53) == "answered by us"


@pytest.mark.parametrize("address", ["192.0.2.1", "240.240.1.1", "2001:db8::1"])
@pytest.mark.parametrize("port", [443, 123])
def test_other_udp_is_refused_at_once(matrix: Any, address: str, port: int) -> None:
    before = time.monotonic()
    assert matrix.udp(address, port) == "refused"
    assert time.monotonic() - before < AT_ONCE


@pytest.mark.parametrize(
    ("family", "protocol", "address"),
    [
        (socket.AF_INET, socket.IPPROTO_ICMP, "192.0.2.1"),
        (socket.AF_INET6, socket.IPPROTO_ICMPV6, "2001:db8::1"),
        (socket.AF_INET, 132, "192.0.2.1"),
    ],
)
def test_other_protocols_are_refused_at_once(
    matrix: Any, family: int, protocol: int, address: str
) -> None:
    echo = bytes((128 if family == socket.AF_INET6 else 8, 0, 0, 0, 0, 1, 0, 1))
    with matrix.inside.socket(family, socket.SOCK_RAW, 0, protocol) as raw:
        raw.connect((address, 0))
        # The rule's verdict is the answer to the call itself.
        with pytest.raises(PermissionError):
            raw.send(echo)


def test_the_sidecars_user_gets_no_further_than_others(matrix: Any) -> None:
    matrix.rules(proxy_uid=PROXY_UID)
    assert matrix.tcp("192.0.2.1", 8000) == (CAPTURE, ("192.0.2.1", 8000))
    assert matrix.udp("192.0.2.53") == "answered by us"
    # Its own packets do not come back to it; and they go nowhere.
    for address in ANY:
        assert matrix.tcp(address, 8000, uid=PROXY_UID) == "refused"
        assert matrix.udp(address, uid=PROXY_UID) == "refused"
    assert matrix.tcp("127.0.0.1", 8000, uid=PROXY_UID) == "direct"


def test_what_is_refused_is_reported(matrix: Any) -> None:
    reader = NflogReader(matrix.inside.path, 28519)
    try:
        assert matrix.udp("192.0.2.9", 123) == "refused"
        assert matrix.udp("2001:db8::9", 443) == "refused"
        found = [
            (each.prefix, each.protocol, each.destination, each.port) for each in reader.read()
        ]
    finally:
        reader.close()
    assert found == [
        ("outgate-denied", "udp", "192.0.2.9", 123),
        ("outgate-denied", "udp", "2001:db8::9", 443),
    ]


def test_a_flood_of_refusals_is_reported_within_limits(matrix: Any) -> None:
    reader = NflogReader(matrix.inside.path, 28519)
    try:
        for _ in range(500):
            assert matrix.udp("192.0.2.9", 123) == "refused"
        found = reader.read()
    finally:
        reader.close()
    assert 50 <= len(found) < 200


def test_applying_again_changes_nothing_and_removing_leaves_nothing(matrix: Any) -> None:
    once = matrix.inside.ruleset()
    matrix.rules()
    assert matrix.inside.ruleset() == once
    assert matrix.tcp("192.0.2.1") == (CAPTURE, ("192.0.2.1", 443))
    for _ in range(2):
        firewall.remove(matrix.inside.path, matrix.backend)
        assert "outgate" not in matrix.inside.ruleset().lower()
    assert matrix.tcp("192.0.2.1") == "refused"


def test_changed_rules_replace_the_earlier_ones(matrix: Any) -> None:
    matrix.rules(capture_port=8000)
    assert matrix.tcp("192.0.2.1") == "direct"
    assert matrix.udp("192.0.2.1", 123) == "refused"
    networks = (ipaddress.ip_network("192.0.2.0/24"),)
    matrix.rules(sealed=False, include=networks)
    assert matrix.tcp("192.0.2.1") == (CAPTURE, ("192.0.2.1", 443))
    assert matrix.tcp("198.51.100.1") == "refused"
    # Answered by the kernel, which has the address, and not by a rule.
    assert matrix.udp("192.0.2.1", 123) == "refused"
