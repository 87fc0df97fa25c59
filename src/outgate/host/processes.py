"""Tells processes apart, without importing what a fast command does not need."""


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks after boot (proc(5), stat field 22); None where it is gone.

    With it, a process id that was given to another process is not taken for ours.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def only_child(pid: int) -> int | None:
    """Return a process's first child, where it has one."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = file.read().split()
    except OSError:
        return None
    return int(children[0]) if children else None
