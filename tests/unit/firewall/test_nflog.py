import ipaddress
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.firewall.nflog import Denied, packet


def ipv4(protocol: int, rest: bytes, options: int = 0) -> bytes:
    header = struct.pack("!BBHHHBBH", 0x45 + options, 0, 0, 0, 0, 64, protocol, 0)
    addresses = bytes((192, 0, 2, 1, 198, 51, 100, 1))
    return header + addresses + bytes(4 * options) + rest


def ipv6(protocol: int, rest: bytes) -> bytes:
    addresses = [ipaddress.IPv6Address(each).packed for each in ("2001:db8::1", "2001:db8::2")]
    return struct.pack("!LHBB", 6 << 28, 0, protocol, 64) + b"".join(addresses) + rest


PORTS = struct.pack("!HH", 1000, 443)


@pytest.mark.parametrize(
    ("data", "protocol", "port"),
    [
        (ipv4(17, PORTS), "udp", 443),
        (ipv4(17, PORTS, options=2), "udp", 443),
        (ipv4(6, PORTS), "tcp", 443),
        (ipv4(1, PORTS), "icmp", None),
        (ipv4(17, PORTS[:3]), "udp", None),
        (ipv4(47, b""), "47", None),
    ],
)
def test_ipv4(data: bytes, protocol: str, port: int | None) -> None:
    assert packet(data, "p") == Denied("p", protocol, "192.0.2.1", "198.51.100.1", port)


@pytest.mark.parametrize(
    ("data", "protocol", "port"), [(ipv6(17, PORTS), "udp", 443), (ipv6(58, PORTS), "icmpv6", None)]
)
def test_ipv6(data: bytes, protocol: str, port: int | None) -> None:
    assert packet(data) == Denied("", protocol, "2001:db8::1", "2001:db8::2", port)


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(st.binary(max_size=80))
def test_whatever_the_kernel_hands_over(data: bytes) -> None:
    found = packet(data)
    assert found is None or found.port is None or 0 <= found.port < 65536
