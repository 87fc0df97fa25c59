"""What processes cost: CPU time and memory, from /proc (proc(5))."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from bench.commands import BenchError

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time that processes have used in all, user and system."""
    total = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/stat").read_text()
        # The command's name may hold spaces; fields 14 and 15 are counted from after it.
        fields = text.rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def rss_mb(pids: Iterable[int]) -> float:
    """Return the resident memory of processes in all, in MB (10^6 bytes)."""
    return sum(_status_kib(pid, "VmRSS") for pid in pids) * 1024 / 1e6


def _status_kib(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    return 0


def find(argument: str, program: str) -> int:
    """Return the process of a program that has `argument` within its command line; BenchError unless there is one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_text(errors="replace").split("\0")
            if Path(words[0]).name == program and any(argument in each for each in words):
                found.append(int(path.parent.name))
    if len(found) != 1:
        raise BenchError(f"{len(found)} processes of {program} with {argument}")
    return found[0]
