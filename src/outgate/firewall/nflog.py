"""Reads the packets that rules refused, as the kernel reports them over nflog, so that each denial can be logged.

Rules limit the rate; nothing waits for this reader, and what it misses is only counted.
"""

import ctypes
import ipaddress
import os
import socket
import struct
import threading
from dataclasses import dataclass
from pathlib import Path

from pyroute2.netlink.nfnetlink import nfgen_msg

from outgate.errors import FirewallError

_CLONE_NEWNET = 0x40000000  # sched.h
_NETLINK_NETFILTER = 12  # netlink.h
_SUBSYSTEM = 4 << 8  # nfnetlink.h: NFNL_SUBSYS_ULOG
_CONFIG = _SUBSYSTEM | 1  # nfnetlink_log.h: NFULNL_MSG_CONFIG
_BIND, _COPY_PACKET = 1, 2
_REQUEST = 1  # netlink.h: NLM_F_REQUEST
_HEADER = struct.Struct("=LHHLL")
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}
_WITH_PORTS = frozenset({6, 17, 132})


class _Config(nfgen_msg):  # type: ignore[misc]  # pyroute2 has no types
    nla_map = (
        (1, "NFULA_CFG_CMD", "uint8"),
        (2, "NFULA_CFG_MODE", "cdata"),
        (5, "NFULA_CFG_QTHRESH", "be32"),
    )


class _Packet(nfgen_msg):  # type: ignore[misc]  # pyroute2 has no types
    nla_map = ((9, "NFULA_PAYLOAD", "cdata"), (10, "NFULA_PREFIX", "asciiz"))


@dataclass(frozen=True, slots=True)
class Denied:
    """A packet that was refused; `port` is None where the protocol has none, or the packet is cut off."""

    prefix: str
    protocol: str
    source: str
    destination: str
    port: int | None


class NflogReader:
    """A socket in a network namespace (None: this one) that receives one nflog group."""

    def __init__(self, netns: Path | None, group: int) -> None:
        """Open it; FirewallError if the kernel refuses."""
        self._socket = _socket_in(netns)
        self.lost = 0
        """How often the kernel had to throw reports away."""
        try:
            self._socket.setblocking(False)
            self._socket.bind((0, 0))
            self._socket.send(_configuration(group))
        except OSError as error:
            self._socket.close()
            raise FirewallError(f"nflog group {group} cannot be read: {error.strerror}") from error

    def fileno(self) -> int:
        """Return the descriptor, to wait on."""
        return self._socket.fileno()

    def read(self) -> list[Denied]:
        """Return what has arrived, without waiting."""
        found: list[Denied] = []
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                return found
            except OSError:
                # ENOBUFS: reports came faster than they were read.
                self.lost += 1
                return found
            found += _messages(data)

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def _socket_in(netns: Path | None) -> socket.socket:
    """Make a netlink socket that belongs to a namespace: a thread of its own goes there and ends."""
    made: list[socket.socket] = []
    failed: list[OSError] = []

    def make() -> None:
        try:
            if netns is not None:
                _enter(netns)
            made.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER))
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if failed:
        raise FirewallError(f"{netns}: {failed[0].strerror}") from failed[0]
    return made[0]


def _enter(netns: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)


def _configuration(group: int) -> bytes:
    """Encode the requests to join a group, and to get whole packets, each at once: the kernel gathers them for 1 s."""
    encoded = b""
    mode = struct.pack("!IBB", 0xFFFF, _COPY_PACKET, 0)
    for attribute in (
        ("NFULA_CFG_CMD", _BIND),
        ("NFULA_CFG_MODE", mode),
        ("NFULA_CFG_QTHRESH", 1),
    ):
        message = _Config()
        message["nfgen_family"], message["version"], message["res_id"] = 0, 0, group
        message["attrs"] = [attribute]
        message["header"]["type"], message["header"]["flags"] = _CONFIG, _REQUEST
        message.encode()
        encoded += bytes(message.data)
    return encoded


def _messages(data: bytes) -> list[Denied]:
    found: list[Denied] = []
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            break
        if kind == _SUBSYSTEM:
            message = _Packet(data[offset : offset + length])
            message.decode()
            prefix = message.get_attr("NFULA_PREFIX") or ""
            if denied := packet(bytes(message.get_attr("NFULA_PAYLOAD") or b""), prefix):
                found.append(denied)
        offset += (length + 3) & ~3
    return found


def packet(data: bytes, prefix: str = "") -> Denied | None:
    """Read the addresses and port of an IP packet; None if it is none, or too short for its addresses."""
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= 20:
        number, end = data[9], (data[0] & 15) * 4
        source, destination = data[12:16], data[16:20]
    elif version == 6 and len(data) >= 40:
        number, end = data[6], 40
        source, destination = data[8:24], data[24:40]
    else:
        return None
    ports = data[end : end + 4] if number in _WITH_PORTS else b""
    port = struct.unpack("!HH", ports)[1] if len(ports) == 4 else None
    return Denied(
        prefix,
        _PROTOCOLS.get(number, str(number)),
        str(ipaddress.ip_address(source)),
        str(ipaddress.ip_address(destination)),
        port,
    )
