"""The first process of a sandbox: makes its mounts, drops every privilege, and then only buries the dead.

It runs by path under `python -I -S`, so it imports the standard library alone: a sandbox is ready the sooner.
Arguments: `setup DIR HOSTNAME` or `reap`. `ready` on standard output says that the sandbox may be entered.
"""

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

DEVICES = {
    "null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0),
}  # fmt: skip
"""Device numbers, from the kernel's devices.txt."""
LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
MASKED = ("/proc/sysrq-trigger", "/proc/kcore", "/proc/keys", "/proc/timer_list")
"""Files of /proc by which root reaches the machine; which of them exist depends on the kernel."""
STAGE = Path("/run/.outgate")


def _mount_all(fstab: Path) -> None:
    subprocess.run(["/bin/mount", "-a", "-T", str(fstab)], check=True)  # noqa: S603 - our own file


def _devices(directory: Path) -> None:
    os.umask(0)
    for name, (major, minor) in DEVICES.items():
        os.mknod(directory / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
    for name, target in LINKS.items():
        (directory / name).symlink_to(target)
    os.umask(0o022)


def setup(directory: Path, hostname: str) -> None:
    """Make the mounts, then become the reaper without any capability."""
    files = {name: (directory / name).read_text() for name in ("resolv.conf", "hosts")}
    targets = {name: Path("/etc", name).resolve() for name in files}
    second = (directory / "fstab.second").read_text()
    socket.sethostname(hostname)
    _mount_all(directory / "fstab")
    # What lay under /run is hidden from here on; a resolv.conf that was a link to there gets a place again.
    for name, text in files.items():
        target = targets[name]
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        (STAGE / name).write_text(text)
        second += f"{STAGE / name} {target} none bind 0 0\n"
    for name in filter(os.path.exists, MASKED):
        second += f"/dev/null {name} none bind 0 0\n"
    _devices(STAGE / "dev")
    (STAGE / "fstab").write_text(second)
    _mount_all(STAGE / "fstab")
    subprocess.run(["/bin/mount", "--move", str(STAGE / "dev"), "/dev"], check=True)  # noqa: S603
    setpriv = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"]
    os.chdir("/")
    os.execvp(setpriv[0], [*setpriv, sys.executable, "-I", "-S", __file__, "reap"])  # noqa: S606


def reap() -> None:
    """Bury whatever dies here, until told to stop; with this process, all others in the sandbox end."""
    wanted = {signal.SIGCHLD, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    os.write(1, b"ready\n")
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    while signal.sigwait(wanted) == signal.SIGCHLD:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


if __name__ == "__main__":
    if sys.argv[1] == "setup":
        setup(Path(sys.argv[2]), sys.argv[3])
    else:
        reap()
