"""A namespace of a test's own, with everything that listens in it, and rules that are run, not read."""

import contextlib
import ctypes
import dataclasses
import errno
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from outgate.firewall import apply as firewall
from outgate.firewall.apply import Backend
from outgate.firewall.rules import CaptureRules
from outgate.host.plan import sealed_commands
from outgate.model.addresses import RAW_IPV4, RAW_IPV6
from outgate.xds.naming import CAPTURE_PORT, DNS_PORT, RAW_PORT

GROUP = 28519
SERVER_PORT = 8000
SEALED = CaptureRules(
    capture_port=CAPTURE_PORT,
    raw_port=RAW_PORT,
    raw_ranges=(RAW_IPV4, RAW_IPV6),
    dns_port=DNS_PORT,
    sealed=True,
    log_group=GROUP,
)
OUTSIDE = ("192.0.2.0/23", "203.0.113.0/24", "2001:db8::/32")
DIRECT = "direct"
"""What reached the address it was sent to."""
REFUSED = frozenset(
    {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EACCES, errno.ENETUNREACH, errno.EPERM}
)
AT_ONCE = 0.5
"""Seconds; a packet that is dropped is tried again after one."""


class Namespace:
    def __init__(self, name: str) -> None:
        self.name = name
        self.path = Path("/run/netns", name)
        run("ip", "netns", "add", name)

    def remove(self) -> None:
        run("ip", "netns", "delete", self.name)

    def ip(self, *lines: str) -> None:
        run("ip", "-n", self.name, "-batch", "-", text="".join(f"{each}\n" for each in lines))

    def ruleset(self) -> str:
        commands = ("nft list ruleset", "iptables-save", "ip6tables-save")
        texts = (run("ip", "netns", "exec", self.name, *each.split()) for each in commands)
        # Without counters and times.
        lines = "".join(texts).splitlines()
        return "\n".join(each for each in lines if not each.startswith(("#", ":")))

    def socket(self, family: int, kind: int, uid: int = 0, protocol: int = 0) -> socket.socket:
        """A socket belongs to the namespace, and to the user, that its thread had when it was made."""
        libc = ctypes.CDLL(None, use_errno=True)
        made: list[socket.socket] = []

        def make() -> None:
            with self.path.open() as file:
                assert libc.setns(file.fileno(), 0x40000000) == 0  # CLONE_NEWNET
            libc.setfsuid(uid)
            made.append(socket.socket(family, kind, protocol))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made[0]


def run(*words: str, text: str = "") -> str:
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@dataclasses.dataclass
class Matrix:
    """A namespace with everything that listens in it, and the rules under test."""

    inside: Namespace
    backend: Backend
    listening: dict[int, list[socket.socket]]

    def rules(self, **changes: Any) -> None:
        firewall.apply(dataclasses.replace(SEALED, **changes), self.inside.path, self.backend)

    def tcp(self, address: str, port: int = 443, *, uid: int = 0, family: int | None = None) -> Any:
        """The port of the listener that a connection reached, and the destination that the kernel tells it."""
        if family is None:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.inside.socket(family, socket.SOCK_STREAM, uid) as client:
            client.settimeout(AT_ONCE)
            try:
                client.connect((address, port))
            except TimeoutError:
                return "silence"
            except OSError as error:
                return "refused" if error.errno in REFUSED else error
            me = client.getsockname()[:2]
            for number in (CAPTURE_PORT, RAW_PORT):
                for server in self.listening[number]:
                    if found := accepted(server, me):
                        return number, found
            return DIRECT

    def udp(self, address: str, port: int = 53, *, uid: int = 0) -> str:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.inside.socket(family, socket.SOCK_DGRAM, uid) as client:
            client.settimeout(AT_ONCE)
            try:
                client.connect((address, port))
                client.send(b"?")
                for server in self.listening[DNS_PORT]:
                    if answer(server):
                        # The answer must come from the address that was asked.
                        return f"answered {client.recv(9).decode()}"
                client.recv(9)
            except TimeoutError:
                return "silence"
            except OSError as error:
                return "refused" if error.errno in REFUSED else repr(error)
            return "answered by nobody of ours"


def accepted(server: socket.socket, me: tuple[str, int]) -> tuple[str, int] | None:
    try:
        connection, peer = server.accept()
    except BlockingIOError:
        return None
    with connection:
        assert peer[1] == me[1]
        return original(connection)


def original(connection: socket.socket) -> tuple[str, int]:
    # SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST are 80 (linux/netfilter_ipv4.h, netfilter_ipv6/ip6_tables.h).
    try:
        if connection.family == socket.AF_INET:
            port, address = struct.unpack("!2xH4s8x", connection.getsockopt(socket.SOL_IP, 80, 16))
            return socket.inet_ntop(socket.AF_INET, address), port
        port, address = struct.unpack(
            "!2xH4x16s4x", connection.getsockopt(socket.IPPROTO_IPV6, 80, 28)
        )
        return socket.inet_ntop(socket.AF_INET6, address), port
    except OSError:
        # It was not redirected.
        host, port, *_ = connection.getsockname()
        return host, port


def answer(server: socket.socket) -> bool:
    try:
        _, peer = server.recvfrom(9)
    except BlockingIOError:
        return False
    server.sendto(b"by us", peer)
    return True


def listen(
    inside: Namespace, port: int, kind: int = socket.SOCK_STREAM, *, anywhere: bool = False
) -> list[socket.socket]:
    made = []
    addresses = ("", "") if anywhere else ("127.0.0.1", "::1")
    for family, address in zip((socket.AF_INET, socket.AF_INET6), addresses, strict=True):
        server = inside.socket(family, kind)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.bind((address, port))
        if kind == socket.SOCK_STREAM:
            server.listen(8)
        server.setblocking(False)
        made.append(server)
    return made


@pytest.fixture(params=list(Backend))
def backend(request: pytest.FixtureRequest) -> Backend:
    return Backend(request.param)


@pytest.fixture
def matrix(namespace: Callable[..., Any], backend: Backend) -> Iterator[Matrix]:
    """A sealed namespace, as on one machine."""
    inside = namespace("sealed")
    inside.ip(*sealed_commands().splitlines())
    with _listening(inside) as listening:
        made = Matrix(inside, backend, listening)
        made.rules()
        yield made


@pytest.fixture
def linked(namespace: Callable[..., Any], backend: Backend) -> Iterator[Matrix]:
    """A namespace with a way out, to another one that has all addresses of `OUTSIDE`."""
    inside, outside = namespace("linked"), namespace("outside")
    outside.ip(
        "link set lo up",
        *(f"route add local {each} dev lo" for each in OUTSIDE),
        f"link add out type veth peer name eth0 netns {inside.name}",
        "address add 198.51.100.1/30 dev out",
        "address add fd00:1::1/126 dev out nodad",
        "link set out up",
    )
    inside.ip(
        "link set lo up",
        "address add 198.51.100.2/30 dev eth0",
        "address add fd00:1::2/126 dev eth0 nodad",
        "link set eth0 up",
        "route add default via 198.51.100.1",
        "route add default via fd00:1::1",
        "route add local 240.240.0.0/16 dev lo",
        "route add local 2001:2::/48 dev lo",
    )
    with _listening(inside) as listening, contextlib.ExitStack() as stack:
        for port in (80, 443, SERVER_PORT):
            for each in listen(outside, port, anywhere=True):
                stack.enter_context(each)
        yield Matrix(inside, backend, listening)


@contextlib.contextmanager
def _listening(inside: Namespace) -> Iterator[dict[int, list[socket.socket]]]:
    with contextlib.ExitStack() as stack:
        made = {port: listen(inside, port) for port in (CAPTURE_PORT, RAW_PORT, SERVER_PORT)}
        made[DNS_PORT] = listen(inside, DNS_PORT, socket.SOCK_DGRAM)
        for several in made.values():
            for each in several:
                stack.enter_context(each)
        yield made


@pytest.fixture
def namespace() -> Iterator[Callable[[str], Namespace]]:
    made: list[Namespace] = []

    def make(purpose: str) -> Namespace:
        made.append(Namespace(f"outgate-test-{os.getpid()}-{purpose}"))
        return made[-1]

    yield make
    for each in made:
        each.remove()
