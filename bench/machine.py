"""The machine: what a benchmark needs of it, what it is, and that nothing is left on it."""

import contextlib
import datetime
import fcntl
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from bench import mesh, places
from bench.commands import BenchError, run
from outgate.envoy import binary

PACKAGES = {"wrk": "wrk", "/usr/sbin/nginx": "nginx-light", "nft": "nftables", "ip": "iproute2"}


def require() -> None:
    """Install the Debian packages that are missing; BenchError where that cannot be done."""
    if os.geteuid() != 0:
        raise BenchError("the benchmark needs root: it makes network namespaces; use sudo")
    missing = [name for name in PACKAGES if shutil.which(name) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise BenchError(f"please install {', '.join(PACKAGES[name] for name in missing)}")
    script = places.PROJECT / "scripts" / "debian"
    run(str(script), *(f"{name}:{PACKAGES[name]}" for name in missing), seconds=600)


@contextlib.contextmanager
def prepared() -> Iterator[Path]:
    """Have the folder for the time of a `with` block, alone on this machine and without leftovers."""
    places.FOLDER.mkdir(mode=0o700, exist_ok=True)
    if places.FOLDER.is_symlink() or places.FOLDER.stat().st_uid != 0:
        raise BenchError(f"{places.FOLDER} is not root's own folder")
    lock = os.open(places.FOLDER / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BenchError("another benchmark runs on this machine") from error
        sweep()
        try:
            yield places.FOLDER
        finally:
            sweep()
            shutil.rmtree(places.FOLDER, ignore_errors=True)
    finally:
        os.close(lock)


def sweep() -> None:
    """Remove all that benchmarks make; what is not there is passed over."""
    mesh.remove_left()
    for record in places.FOLDER.glob("*.pid"):
        _end(record)
    for name in (places.ORIGIN_NETNS, places.STATIC_NETNS):
        run("ip", "netns", "delete", name, check=False)
    run("ip", "link", "delete", places.LINK, check=False)


def _end(record: Path) -> None:
    """End a process whose number was written down, if it still is one that the benchmark started."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(record.read_text())
        if str(places.FOLDER).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, 9)
    record.unlink(missing_ok=True)


def facts() -> dict[str, str | int]:
    """Return what figures depend on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found = binary.check(binary.find())
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": os.cpu_count() or 0,
        "memory_gb": round(memory / 1e9),
        "processor": _processor(),
        "kernel": platform.release(),
        "envoy": ".".join(str(part) for part in found.version),
        "python": platform.python_version(),
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
