"""Records the packets that a cluster sends into the small internet; its own canary watches only the host's link.

They wait in the socket's buffer until somebody asks for them.
"""

import ctypes
import socket
import struct
import threading
from pathlib import Path
from typing import Any

from outgate.internet import canary

_CLONE_NEWNET = 0x40000000
# linux/if_ether.h, asm-generic/socket.h; the time comes as a struct timespec.
_ETH_P_ALL = 3
_SO_TIMESTAMPNS = 35
_TIME = "ll"
_SO_RCVBUFFORCE = 33
_BUFFER = 8 * 1024 * 1024


class Packets:
    """What arrives at an interface in another network namespace, from when this is made."""

    def __init__(self, namespace: Path, interface: str) -> None:
        """Begin at once; needs CAP_SYS_ADMIN and CAP_NET_RAW."""
        self._found: list[dict[str, Any]] = []
        # A socket belongs to the namespace that its thread was in when it was made.
        thread = threading.Thread(target=self._open, args=(namespace, interface))
        thread.start()
        thread.join()

    def records(self) -> list[dict[str, Any]]:
        """Return all up to now, as `SmallInternet.canary` does."""
        while True:
            try:
                data, extra, _, _ = self._socket.recvmsg(256, 64)
            except BlockingIOError:
                return list(self._found)
            if packet := canary.parse(data):
                seconds, nanoseconds = struct.unpack(_TIME, extra[0][2])
                time = round(seconds + nanoseconds / 1e9, 6)
                self._found.append({"time": time, "kind": "packet"} | packet)

    def close(self) -> None:
        """Record no more."""
        self._socket.close()

    def _open(self, namespace: Path, interface: str) -> None:
        with namespace.open() as file:
            assert ctypes.CDLL(None).setns(file.fileno(), _CLONE_NEWNET) == 0
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        # The first packet of each connection, and every packet that belongs to none.
        canary._attach_filter(self._socket)
        self._socket.bind((interface, _ETH_P_ALL))
