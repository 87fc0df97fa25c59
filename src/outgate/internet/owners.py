"""Which process a small internet belongs to, so that what a killed one left can be removed.

Each has a folder `INDEX-PID-START` under one root, where START is the time at which the process
started: no other process of the same boot ever has both.
"""

import contextlib
import os
import re
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/run/outgate-internet")
"""Where the folders are: on a file system that does not outlive the boot."""

_SERVER = "server"
_NAME = re.compile(r"(\d+)-(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Owner:
    """A process; `started` is in clock ticks since boot (proc(5), field 22 of /proc/PID/stat)."""

    pid: int
    started: int

    def lives(self) -> bool:
        """Tell whether this very process still runs."""
        return _started(self.pid) == self.started


def owner_of(pid: int) -> Owner:
    """Return the process that has the pid now; ProcessLookupError if there is none."""
    started = _started(pid)
    if started is None:
        raise ProcessLookupError(pid)
    return Owner(pid, started)


def folder_for(index: int) -> Path:
    """Return the folder of this process's small internet number `index`."""
    owner = owner_of(os.getpid())
    return ROOT / f"{index}-{owner.pid}-{owner.started}"


def folders() -> list[tuple[Path, int, Owner]]:
    """Return each folder there is, with its index and owner."""
    if not ROOT.is_dir():
        return []
    named = ((path, _NAME.fullmatch(path.name)) for path in sorted(ROOT.iterdir()))
    return [
        (path, int(match[1]), Owner(int(match[2]), int(match[3]))) for path, match in named if match
    ]


def record_server(folder: Path, pid: int) -> None:
    """Note in `folder` which process serves."""
    server = owner_of(pid)
    (folder / _SERVER).write_text(f"{server.pid}-{server.started}", encoding="ascii")


def end_server(folder: Path) -> None:
    """Kill the process that is noted in `folder`, if it still is that process."""
    try:
        pid, started = (folder / _SERVER).read_text(encoding="ascii").split("-")
        pidfd = os.pidfd_open(int(pid))
    except (OSError, ValueError):
        return
    try:
        # What the pidfd holds was opened before the check, so it is what is checked.
        if Owner(int(pid), int(started)).lives():
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        pass  # It ended by itself meanwhile.
    finally:
        os.close(pidfd)


def forget(folder: Path) -> None:
    """Remove `folder`, and the root if it was the last."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        ROOT.rmdir()


def _started(pid: int) -> int | None:
    try:
        # The command name, field 2, is in parentheses and may hold any byte.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if not fields or fields[0] in (b"Z", b"X") else int(fields[19])
