"""The node as the host sees it: its first process, the namespaces of that, and what it is asked to do."""

import contextlib
import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from tests.cluster.commands import ENVIRONMENT, ClusterError, run
from tests.cluster.parts import Part
from tests.cluster.places import NODE, Place

from outgate.internet import owners

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_UNSHARE = (
    *("unshare", "--net", "--mount", "--pid", "--ipc", "--uts"),
    *("--fork", "--kill-child", "--mount-proc"),
)
_PATIENCE = 30.0
_READY_SECONDS = 120.0
_NAMESPACES = "namespaces"
Process = tuple[int, int]
"""A process: its number, and when it began, as numbers are used again."""
_KINDS = ("pid", "net", "mnt")


class Node:
    """A node that runs."""

    def __init__(self, place: Place) -> None:
        """Find it; ClusterError if it does not answer."""
        self.place = place
        self._process: subprocess.Popen[bytes] | None = None
        with self._connected() as connection:
            # struct ucred: pid, uid, gid (unix(7)); the number is the one that the host knows it by.
            size = struct.calcsize("3i")
            found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
            self.pid: int = struct.unpack("3i", found)[0]

    @classmethod
    def launch(cls, place: Place, lock: int) -> Self:
        """Start one that holds the lock, and ends with this process unless it is asked to `keep`."""
        python = (sys.executable, "-I", str(_SUPERVISOR), str(place.folder), str(lock), NODE)
        with (place.folder / "node.log").open("w") as output:
            process = subprocess.Popen(
                (*_UNSHARE, *python),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=(lock,),
                # A Ctrl-C is for whoever starts it.
                start_new_session=True,
                env=ENVIRONMENT,
            )
        try:
            node = cls._answering(place, process)
            owners.record_server(place.folder, node.pid)
            (place.folder / _NAMESPACES).write_text("\n".join(node._namespaces()))
        except BaseException:
            process.kill()
            _wait(process)
            raise
        node._process = process
        return node

    @classmethod
    def _answering(cls, place: Place, process: subprocess.Popen[bytes]) -> Self:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return cls(place)
            except ClusterError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    said = (place.folder / "node.log").read_text()
                    raise ClusterError(f"the node did not start: {said[-2000:]}") from error
                time.sleep(0.005)

    @property
    def network(self) -> Path:
        """Its network namespace, for setns."""
        return Path(f"/proc/{self.pid}/ns/net")

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Have it do something; ClusterError if it cannot."""
        with self._connected() as connection:
            connection.sendall((json.dumps({"do": do} | arguments) + "\n").encode())
            with connection.makefile() as lines:
                line = lines.readline()
        answer: dict[str, Any] = json.loads(line or '{"error": "it has ended"}')
        if "error" in answer:
            raise ClusterError(f"the node: {do}: {answer['error']}")
        return answer

    def begin(self, part: Part, *flags: str) -> None:
        """Start a part, which may not serve yet."""
        self.ask("start", name=part.name, command=(*part.command, *flags))

    def stop(self, part: Part) -> None:
        """Kill a part; it may have ended already."""
        self.ask("stop", name=part.name)

    def wait_for(self, part: Part) -> None:
        """Return when a part serves; ClusterError with the end of its log if it does not."""
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                run(*part.ready)
            except ClusterError as error:
                ended = part.name in self.ask("status")["ended"]
                if ended or time.monotonic() > deadline:
                    said = (self.place.folder / f"{part.name}.log").read_text(errors="replace")
                    state = "has ended" if ended else "is not ready"
                    raise ClusterError(f"{part.name} {state}: {error}\n{said[-3000:]}") from error
                time.sleep(0.05)
            else:
                return

    def run(self, *command: str, text: str = "") -> str:
        """Run a command in its namespaces, as root, and return the output."""
        inside = ("nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", "--ipc", "--uts")
        return run(*inside, "--", *command, text=text)

    def wait(self) -> None:
        """Return when it has ended, if it was started here."""
        if self._process is not None:
            _wait(self._process)

    def _namespaces(self) -> list[str]:
        return [str(Path(f"/proc/{self.pid}/ns/{kind}").readlink()) for kind in _KINDS]

    @contextlib.contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_PATIENCE)
            try:
                connection.connect(str(self.place.folder / "node.sock"))
                yield connection
            except OSError as error:
                raise ClusterError(f"the node does not answer: {error}") from error


def end(place: Place) -> None:
    """Kill the node of a place, if it runs: the kernel ends all others in its namespaces before it is gone."""
    # Its first process, and not the parent, which then waits for all that.
    owners.end_server(place.folder)


def namespaces(place: Place) -> set[str]:
    """Return the namespaces of a place's node, as /proc shows them; none if it has not been started."""
    try:
        return set((place.folder / _NAMESPACES).read_text().split())
    except FileNotFoundError:
        return set()


def processes(known: set[str]) -> set[Process]:
    """Return all processes in any of these namespaces, which must exist: their numbers are used again afterwards."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    found = [(pid, _began(pid)) for pid in pids if known & _namespaces_of(pid)]
    return {(pid, began) for pid, began in found if began is not None}


def running(among: set[Process]) -> set[Process]:
    """Return those that have not ended, whatever has had their numbers since."""
    return {each for each in among if _began(each[0]) == each[1]}


def _began(pid: int) -> int | None:
    """Return when a process began, in clock ticks since boot (proc(5), field 22 of stat); None if it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *rest = text.rpartition(")")[2].split()
    # One that nobody has waited for has ended all the same.
    return None if state in "ZX" else int(rest[18])


def _namespaces_of(pid: int) -> set[str]:
    found = set()
    for kind in _KINDS:
        # Many end while one looks.
        with contextlib.suppress(OSError):
            found.add(str(Path(f"/proc/{pid}/ns/{kind}").readlink()))
    return found


def _wait(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    process.wait()
