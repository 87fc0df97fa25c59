import json
import struct
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from outgate.internet.canary import Recorder, parse

_PORTS = struct.pack("!HH", 4000, 53)


def _v4(number: int, payload: bytes, destination: str = "198.51.100.3", options: int = 0) -> bytes:
    addresses = IPv4Address("192.0.2.1").packed + IPv4Address(destination).packed
    head = struct.pack("!BxHxxxxBBxx", 0x45 + options, 20, 64, number)
    return head + addresses + bytes(4 * options) + payload


def _v6(number: int, payload: bytes, destination: str = "2001:db8::3") -> bytes:
    addresses = IPv6Address("2001:db8::1").packed + IPv6Address(destination).packed
    return struct.pack("!BxxxHBB", 0x60, len(payload), number, 64) + addresses + payload


def test_ports_are_read_in_both_families() -> None:
    expected = {"protocol": "udp", "source_port": 4000, "port": 53}
    v4 = {"source": "192.0.2.1", "destination": "198.51.100.3"}
    assert parse(_v4(17, _PORTS)) == expected | v4
    assert parse(_v4(17, _PORTS, options=2)) == expected | v4
    v6 = {"source": "2001:db8::1", "destination": "2001:db8::3"}
    assert parse(_v6(17, _PORTS)) == expected | v6


@pytest.mark.parametrize(
    ("number", "name"), [(1, "icmp"), (6, "tcp"), (58, "icmpv6"), (132, "sctp"), (47, "47")]
)
def test_every_protocol_is_recorded(number: int, name: str) -> None:
    packet = parse(_v4(number, b"\x08\x00" + bytes(6)))
    assert packet is not None
    assert packet["protocol"] == name
    assert ("port" in packet) == (name in ("tcp", "sctp"))


@pytest.mark.parametrize("kind", [128, 129, 1])
def test_pings_are_recorded_over_ipv6_too(kind: int) -> None:
    assert parse(_v6(58, bytes([kind]))) is not None


@pytest.mark.parametrize(
    "data",
    [
        _v6(58, bytes([135])),
        _v6(0, bytes(8), "ff02::16"),
        _v4(17, _PORTS, "224.0.0.251"),
        _v4(2, b"", "224.0.0.22"),
    ],
)
def test_what_hosts_on_a_link_say_is_no_traffic(data: bytes) -> None:
    assert parse(data) is None


@pytest.mark.parametrize("data", [b"\x45", b"\x60" * 30, b"\x4f" * 20, b"\x00"])
def test_a_mutilated_packet_does_no_harm(data: bytes) -> None:
    parse(data)


def test_a_record_is_one_line_of_json(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "canary")
    recorder.add("query", name="a\nb")
    recorder.add("tls", sni=None)
    recorder.close()
    lines = (tmp_path / "canary").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["kind"] for record in records] == ["query", "tls"]
    assert records[0]["name"] == "a\nb"
    assert records[0]["time"] <= records[1]["time"]
