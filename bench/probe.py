"""Runs in a pod: for each name on standard input, calls it until that is allowed, and writes when it was.

A first line says that it is ready.

Times are those of the monotonic clock (s), which is one for the whole machine.
"""

import contextlib
import socket
import sys
import time

_SECONDS = 20.0
_PAUSE = 0.005


def _is_allowed(name: str, port: int) -> bool:
    with socket.create_connection((name, port), 5) as connection:
        connection.sendall(
            f"GET /1k HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode()
        )
        return connection.recv(16).startswith(b"HTTP/1.1 200")


def _wait(name: str, port: int) -> float:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if _is_allowed(name, port):
                return time.monotonic()
        time.sleep(_PAUSE)
    return -1.0


print("ready", flush=True)  # noqa: T201 - its answer
for _line in sys.stdin:
    print(_wait(_line.strip(), int(sys.argv[1])), flush=True)  # noqa: T201 - its answer
