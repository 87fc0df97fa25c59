"""The cgroup that the kubelet makes those of pods in, in each hierarchy there is (version 1, or version 2)."""

import contextlib
import time
from pathlib import Path

from tests.cluster.commands import ClusterError

_ROOT = Path("/sys/fs/cgroup")
_PATIENCE = 10.0


def make(name: str) -> None:
    """Make it; ClusterError where this process may not."""
    try:
        if (_ROOT / "cgroup.controllers").exists():
            _make_unified(name)
        else:
            _make_each(name)
    except OSError as error:
        raise ClusterError(f"no cgroups can be made: {error}") from error


def remove(name: str) -> None:
    """Remove it with all below it; ClusterError if a process stays in one."""
    deadline = time.monotonic() + _PATIENCE
    while left := found(name):
        for cgroup in left:
            for path in sorted(cgroup.rglob("*/"), reverse=True):
                with contextlib.suppress(OSError):
                    path.rmdir()
            with contextlib.suppress(OSError):
                cgroup.rmdir()
        if time.monotonic() > deadline:
            raise ClusterError(f"cgroups stay: {', '.join(map(str, left))}")
        # A process that was killed leaves its cgroup a moment later.
        time.sleep(0.02)


def found(name: str) -> list[Path]:
    """Return where there is one of this name."""
    return [path for path in (_ROOT / name, *_ROOT.glob(f"*/{name}")) if path.is_dir()]


def _make_each(name: str) -> None:
    for hierarchy in _ROOT.iterdir():
        # Not the links such as `cpu`, and not version 2 beside version 1, where no controller is.
        if (hierarchy / "cgroup.procs").exists() and hierarchy.name != "unified":
            (hierarchy / name).mkdir(exist_ok=True)
    cpuset = _ROOT / "cpuset"
    for file in ("cpuset.cpus", "cpuset.mems"):
        if (cpuset / file).exists():
            (cpuset / name / file).write_text((cpuset / file).read_text())


def _make_unified(name: str) -> None:
    """Version 2: a group has the controllers that the one above it passes on, and no processes of its own."""
    own = _ROOT / name
    own.mkdir(exist_ok=True)
    for group in (_ROOT, own):
        for controller in (group / "cgroup.controllers").read_text().split():
            # One that is refused, the kubelet may not need; if it does, it says so.
            with contextlib.suppress(OSError):
                (group / "cgroup.subtree_control").write_text(f"+{controller}")
