"""The first process of a sandbox: makes its mounts, drops every privilege, and then only buries the dead.

It runs by path under `python -I -S` and imports next to nothing: a sandbox is ready the sooner.
Arguments: `setup DIR HOSTNAME` or `reap`. `ready` on standard output says that the sandbox may be entered.
"""

import os
import sys

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
STAGE = "/run/.outgate"
_CHARACTER_DEVICE = 0o020666


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _run(*command: str) -> None:
    pid = os.posix_spawn(command[0], command, {})
    if os.waitpid(pid, 0)[1]:
        sys.exit(f"{' '.join(command)} failed")


def _devices(directory: str) -> None:
    os.umask(0)
    for name, (major, minor) in DEVICES.items():
        os.mknod(f"{directory}/{name}", _CHARACTER_DEVICE, os.makedev(major, minor))
    for name, target in LINKS.items():
        os.symlink(target, f"{directory}/{name}")
    os.umask(0o022)


def setup(directory: str, hostname: str) -> None:
    """Make the mounts, then become the reaper without any capability."""
    files = {name: _read(f"{directory}/{name}") for name in ("resolv.conf", "hosts")}
    targets = {name: os.path.realpath(f"/etc/{name}") for name in files}
    second = _read(f"{directory}/fstab.second")
    _run("/bin/mount", "-a", "-T", f"{directory}/fstab")
    # Written before /proc/sys becomes read-only.
    _write("/proc/sys/kernel/hostname", hostname)
    # What lay under /run is hidden from here on; a resolv.conf that was a link to there gets a place again.
    for name, text in files.items():
        target = targets[name]
        if not os.path.exists(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _write(target, "")
        _write(f"{STAGE}/{name}", text)
        second += f"{STAGE}/{name} {target} none bind 0 0\n"
    for name in filter(os.path.exists, MASKED):
        second += f"/dev/null {name} none bind 0 0\n"
    _devices(f"{STAGE}/dev")
    _write(f"{STAGE}/fstab", second)
    _run("/bin/mount", "-a", "-T", f"{STAGE}/fstab")
    _run("/bin/mount", "--move", f"{STAGE}/dev", "/dev")
    setpriv = ("/usr/bin/setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--")
    os.chdir("/")
    os.execv(setpriv[0], [*setpriv, sys.executable, "-I", "-S", __file__, "reap"])  # noqa: S606 - ourselves


def reap() -> None:
    """Bury whatever dies here, for ever: with this process, all others in the sandbox end."""
    os.write(1, b"ready\n")
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    import signal  # noqa: PLC0415 - nobody waits for it any more

    wanted = {signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    while True:
        signal.sigwait(wanted)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


if __name__ == "__main__":
    if sys.argv[1] == "setup":
        setup(sys.argv[2], sys.argv[3])
    else:
        reap()
