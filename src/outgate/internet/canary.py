"""Records all that arrives in the small internet, so that a test can show that nothing did.

What counts is the packets on the wire: the first of each TCP connection, and every other packet,
to whatever address and port, whether or not something listens there.
"""

import ctypes
import json
import select
import socket
import struct
import threading
import time
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

_ETH_P_ALL = 3
_PACKET_OUTGOING = 4
_SO_ATTACH_FILTER = 26
_SO_RCVBUFFORCE = 33
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_BUFFER = 8 * 1024 * 1024
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}
_NEIGHBOUR_DISCOVERY = range(130, 144)
"""ICMPv6 types of multicast listeners, routers and neighbours (RFC 4861, RFC 2710, RFC 3810)."""

# Lets through what comes in and is no TCP packet other than the first of a connection: a bulk
# transfer costs nothing then, and the socket's buffer does not overflow. Each line is an
# instruction of classic BPF: code, jump if true, jump if false, operand (linux/filter.h,
# linux/bpf_common.h).
_FILTER = (
    (0x20, 0, 0, 0xFFFFF004),  # 0 load the packet's type
    (0x15, 16, 0, _PACKET_OUTGOING),  # 1 outgoing: drop
    (0x30, 0, 0, 0),  # 2 load the IP version
    (0x54, 0, 0, 0xF0),  # 3
    (0x15, 2, 0, 0x40),  # 4 4: go to 7
    (0x15, 7, 0, 0x60),  # 5 6: go to 13
    (0x05, 0, 0, 11),  # 6 else (ARP): drop
    (0x30, 0, 0, 9),  # 7 load the protocol
    (0x15, 0, 10, 6),  # 8 not TCP: keep
    (0xB1, 0, 0, 0),  # 9 skip the header
    (0x50, 0, 0, 13),  # 10 load the flags
    (0x54, 0, 0, 0x12),  # 11 SYN and ACK
    (0x15, 6, 5, 0x02),  # 12 SYN alone: keep, else drop
    (0x30, 0, 0, 6),  # 13 load the next header
    (0x15, 0, 4, 6),  # 14 not TCP: keep
    (0x30, 0, 0, 53),  # 15 load the flags
    (0x54, 0, 0, 0x12),  # 16
    (0x15, 1, 0, 0x02),  # 17 SYN alone: keep
    (0x06, 0, 0, 0),  # 18 drop
    (0x06, 0, 0, 0xFFFF),  # 19 keep
)


class Recorder:
    """Appends records to a file, one JSON object a line, each whole before the call returns."""

    def __init__(self, path: Path) -> None:
        """Begin an empty file."""
        self._file = path.open("w", encoding="utf-8")
        self._lock = threading.Lock()

    def add(self, kind: str, **values: Any) -> None:
        """Write one record, with the time."""
        record = {"time": round(time.time(), 6), "kind": kind} | values
        with self._lock:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Watch:
    """Records the packets that arrive at an interface, from a thread of its own."""

    def __init__(self, interface: str, recorder: Recorder) -> None:
        """Begin at once; needs CAP_NET_RAW."""
        self._recorder = recorder
        self._lock = threading.Lock()
        # Nothing is received before the filter is in place: protocol 0 until it is bound.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        _attach_filter(self._socket)
        self._socket.bind((interface, _ETH_P_ALL))
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def flush(self) -> None:
        """Record what has arrived up to now."""
        with self._lock:
            while True:
                try:
                    data = self._socket.recv(256)
                except BlockingIOError:
                    break
                if packet := parse(data):
                    self._recorder.add("packet", **packet)
            counts = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
            if lost := struct.unpack("=II", counts)[1]:
                self._recorder.add("lost", count=lost)

    def _run(self) -> None:
        while True:
            select.select([self._socket], [], [])
            self.flush()


def parse(data: bytes) -> dict[str, Any] | None:
    """Return what a packet (from its IP header on) is; None for what hosts on a link say.

    The keys are `protocol`, `source`, `destination` (addresses), and, where there are ports,
    `source_port` and `port`.
    """
    read = _ipv4(data) if data[0] >> 4 == 4 else _ipv6(data)
    if read is None:
        return None
    number, source, destination, payload = read
    if _is_link_talk(number, destination, payload):
        return None
    packet: dict[str, Any] = {
        "protocol": _PROTOCOLS.get(number, str(number)),
        "source": str(source),
        "destination": str(destination),
    }
    if packet["protocol"] in ("tcp", "udp", "sctp") and len(payload) >= 4:
        packet["source_port"], packet["port"] = struct.unpack("!HH", payload[:4])
    return packet


_Read = tuple[int, IPv4Address | IPv6Address, IPv4Address | IPv6Address, bytes]


def _ipv4(data: bytes) -> _Read | None:
    if len(data) < 20:
        return None
    payload = data[4 * (data[0] & 0xF) :]
    return data[9], ip_address(data[12:16]), ip_address(data[16:20]), payload


def _ipv6(data: bytes) -> _Read | None:
    if len(data) < 40:
        return None
    return data[6], ip_address(data[8:24]), ip_address(data[24:40]), data[40:]


def _is_link_talk(number: int, destination: IPv4Address | IPv6Address, payload: bytes) -> bool:
    if number == 58 and payload[:1] and payload[0] in _NEIGHBOUR_DISCOVERY:
        return True
    # Link-local multicast: 224.0.0.0/24 (RFC 5771) and ff02::/16 (RFC 4291), such as mDNS.
    if destination.version == 4:
        return int(destination) >> 8 == 0xE00000
    return int(destination) >> 112 == 0xFF02


def _attach_filter(packet_socket: socket.socket) -> None:
    program = b"".join(struct.pack("=HBBI", *line) for line in _FILTER)
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions and a pointer to them.
    header = struct.pack("HP", len(_FILTER), ctypes.addressof(buffer))
    packet_socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, header)
