"""Tells for certain whether a process is the one that was started: no other is ever signalled.

A pid alone is not enough: it is given to another process once its own has ended. A pid together
with the time at which the process started, within one boot of the machine, is unique.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from outgate.envoy.files import write_atomically

_DELETED = " (deleted)"
_DEAD = ("Z", "X", "x")


@dataclass(frozen=True, slots=True)
class Identity:
    """One process and what it runs.

    `start_time` is in clock ticks since boot `boot` (proc(5): field 22 of /proc/PID/stat, and
    /proc/sys/kernel/random/boot_id). `executables` are the paths that it may run while it lives:
    those of its launcher, and last the one it is to run. `config` is a fingerprint of its command
    line and configuration.
    """

    pid: int
    start_time: int
    boot: str
    executables: tuple[str, ...]
    config: str


def start_time(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot; None if gone or a zombie."""
    try:
        # The command name, field 2, is in parentheses and may hold any byte, parentheses included.
        text = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].decode()
    except OSError:
        return None
    fields = text.split()
    return None if not fields or fields[0] in _DEAD else int(fields[19])


def boot_id() -> str:
    """Return what tells this boot of the machine from every other."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def open_verified(identity: Identity) -> int | None:
    """Return a pidfd (close it) of exactly the process that `identity` describes, None if gone."""
    try:
        pidfd = os.pidfd_open(identity.pid)
    except (OSError, OverflowError):
        return None
    # The order matters: what is found out now is true of the process that the pidfd already holds,
    # since a process with this start time that lives after the opening lived at the opening too.
    if _matches(identity):
        return pidfd
    os.close(pidfd)
    return None


def runs_last(identity: Identity) -> bool:
    """Tell whether the process runs its last executable, and that is the file still on disk."""
    return _executable(identity.pid) in (None, *identity.executables[-1:])


def write(path: Path, identity: Identity) -> None:
    """Write the pid file at once and whole; OSError if that is not possible."""
    write_atomically(path, json.dumps(asdict(identity)) + "\n")


def read(path: Path) -> Identity | None:
    """Read a pid file; None if there is none, or none that makes sense."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Identity(
            pid=int(kept["pid"]),
            start_time=int(kept["start_time"]),
            boot=str(kept["boot"]),
            executables=tuple(str(name) for name in kept["executables"]),
            config=str(kept["config"]),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _matches(identity: Identity) -> bool:
    if identity.boot != boot_id() or start_time(identity.pid) != identity.start_time:
        return False
    executable = _executable(identity.pid)
    # An upgrade replaces the file under a running process, which then is no less ours.
    return executable is None or executable.removesuffix(_DELETED) in identity.executables


def _executable(pid: int) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/exe").readlink())
    except OSError:
        # Not readable without CAP_SYS_PTRACE if the process runs as another user: start time and
        # boot must do.
        return None
