"""The first process of the node: prepares its namespaces, then starts and ends processes as it is told.

Stand-alone, with nothing but the standard library, as it runs as long as the cluster:
`supervisor.py FOLDER LOCK HOSTNAME`. It is asked over the socket `FOLDER/node.sock`: one line of JSON, one line of
answer. When it ends, the kernel ends every other process of the node, and with them go the mounts, the network and all
that is in it.
"""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PATIENCE = 5.0
# What the kubelet would set for the whole machine, and leave so. It is shown files that have these values already.
_KUBELET_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
# Of this network namespace only.
_NETWORK_SETTINGS = {
    "ipv4/ip_forward": "1",
    "ipv6/conf/all/forwarding": "1",
    "ipv6/conf/default/forwarding": "1",
}

Message = dict[str, Any]


def prepare(folder: Path, hostname: str) -> None:
    """Give the node its own /sys, /run, /var/log and /var/lib, and its settings."""
    socket.sethostname(hostname)
    # /sys shows the network namespace that it was mounted in; the cgroups come along.
    aside = folder / "cgroup"
    aside.mkdir()
    _mount("--rbind", "/sys/fs/cgroup", str(aside))
    _mount("-t", "sysfs", "sysfs", "/sys")
    _mount("--rbind", str(aside), "/sys/fs/cgroup")
    subprocess.run(("umount", "--lazy", str(aside)), check=True)
    for path in ("/run", "/var/log"):
        _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", path)
    Path("/run/netns").mkdir()
    Path("/run/lock").mkdir()
    _cover(Path("/var/lib"), folder / "var-lib")
    for name, value in _KUBELET_SETTINGS.items():
        _pretend(Path("/proc/sys", name), value, folder / "settings")
    for name, value in _NETWORK_SETTINGS.items():
        setting = Path("/proc/sys/net", name)
        if setting.exists():
            setting.write_text(value)
    # As systemd does, so that mounts reach pods that ask for it; the host is cut off already.
    _mount("--make-rshared", "/")


def _mount(*words: str) -> None:
    subprocess.run(("mount", *words), check=True)


def _cover(path: Path, folder: Path) -> None:
    """Let what is written below `path` go into memory: CNI and kubelet have fixed places there."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(folder))
    (folder / "upper").mkdir()
    (folder / "work").mkdir()
    options = f"lowerdir={path},upperdir={folder}/upper,workdir={folder}/work"
    _mount("-t", "overlay", "-o", options, "overlay", str(path))


def _pretend(path: Path, value: str, folder: Path) -> None:
    if not path.exists():
        return
    folder.mkdir(exist_ok=True)
    file = folder / path.name
    file.write_text(value)
    _mount("--bind", str(file), str(path))


class Supervisor:
    """The processes by name, and what can be asked of them."""

    def __init__(self, folder: Path) -> None:
        """Listen; nothing is started yet."""
        self._folder = folder
        self._running: dict[str, int] = {}
        self._ended: dict[str, int] = {}
        self._kept = False
        self._selector = selectors.DefaultSelector()
        self._listen()
        self._notice_deaths()
        self._selector.register(sys.stdin.buffer, selectors.EVENT_READ, self._owner_is_gone)

    def serve(self) -> None:
        """Obey until the end."""
        while True:
            for key, _ in self._selector.select():
                key.data()

    def start(self, message: Message) -> Message:
        """Start a process, its output appended to a log of its name."""
        name, command = message["name"], message["command"]
        if name in self._running:
            raise ValueError(f"{name} runs already")
        log = (str(self._folder / f"{name}.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, *log),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        self._running[name] = os.posix_spawnp(
            command[0],
            command,
            os.environ,
            file_actions=files,
            setsid=True,
            # Python ignores these, and what it starts would too.
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
        )
        self._ended.pop(name, None)
        return {"pid": self._running[name]}

    def stop(self, message: Message) -> Message:
        """Kill a process, and answer when it is gone; it may be gone already."""
        name = message["name"]
        if name in self._running:
            os.kill(self._running[name], signal.SIGKILL)
            os.waitpid(self._running.pop(name), 0)
        return {}

    def status(self, _message: Message) -> Message:
        """Tell which processes run (pid), how those that ended by themselves did (wait status), and for whom."""
        return {"running": self._running, "ended": self._ended, "kept": self._kept}

    def keep(self, _message: Message) -> Message:
        """Go on when the owner is gone."""
        if not self._kept:
            self._selector.unregister(sys.stdin.buffer)
        self._kept = True
        return {}

    def _listen(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / "node.sock"))
        self._listener.listen()
        self._selector.register(self._listener, selectors.EVENT_READ, self._answer)

    def _notice_deaths(self) -> None:
        self._woken, waker = socket.socketpair()
        for end in (self._woken, waker):
            end.setblocking(False)
        signal.set_wakeup_fd(waker.detach(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(self._woken, selectors.EVENT_READ, self._reap)

    def _reap(self) -> None:
        """Take note of what ended, also of what containerd leaves to the first process."""
        self._woken.recv(4096)
        names = {pid: name for name, pid in self._running.items()}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in names:
                self._ended[names[pid]] = status
                del self._running[names[pid]]

    def _answer(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(_PATIENCE)
        try:
            with connection:
                if line := _line(connection):
                    connection.sendall((json.dumps(self._done(line)) + "\n").encode())
        except OSError:
            return  # Whoever asked is gone.

    def _done(self, line: bytes) -> Message:
        asked = (self.start, self.stop, self.status, self.keep)
        known: dict[str, Callable[[Message], Message]] = {each.__name__: each for each in asked}
        try:
            message = json.loads(line)
            return known[message["do"]](message)
        except (OSError, ValueError, KeyError) as error:
            return {"error": f"{type(error).__name__}: {error}"}

    def _owner_is_gone(self) -> None:
        # At once: the kernel does the rest.
        os._exit(0)


def _line(connection: socket.socket) -> bytes:
    """Return what came up to the end of a line; nothing if the other side closed before."""
    line = b""
    while not line.endswith(b"\n"):
        data = connection.recv(65536)
        if not data:
            return b""
        line += data
    return line


def main() -> None:
    """Prepare and serve; the exit status is not looked at, but the traceback is."""
    folder = Path(sys.argv[1])
    # It is held by this process and its parent, so that it is free when both are gone; not by what is started here.
    os.set_inheritable(int(sys.argv[2]), False)
    prepare(folder, sys.argv[3])
    Supervisor(folder).serve()


if __name__ == "__main__":
    main()
