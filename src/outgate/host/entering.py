"""Runs a command inside a sandbox from a command line: its signals, standard input and exit status passed through."""

import contextlib
import os
import pwd
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from outgate import environment
from outgate.errors import HostError, UsageError
from outgate.host import plan
from outgate.host.processes import only_child

_PASSED = (
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGINT,
)


def account(name: str | None) -> tuple[int, int] | None:
    """Return the uid and gid of a user; without a name those of who called sudo. None: root, with few capabilities."""
    wanted = name or environment.sudo_user()
    if not wanted or wanted == "root":
        return None
    try:
        found = pwd.getpwuid(int(wanted)) if wanted.isdigit() else pwd.getpwnam(wanted)
    except KeyError as error:
        raise UsageError(f"--user {wanted!r}: there is no such user") from error
    return found.pw_uid, found.pw_gid


def pod_name(command: str) -> str:
    """Return a pod's name made from its command, with a suffix as Kubernetes adds one."""
    base = re.sub(r"[^a-z0-9]+", "-", Path(command).name.lower()).strip("-")[:40] or "run"
    return f"{base}-{os.urandom(3).hex()}"


def run(
    init: int,
    command: list[str],
    user: tuple[int, int] | None,
    *,
    stdin: bool = True,
    tty: bool = False,
) -> int:
    """Run a command to its end and return its exit status, 128 and the signal's number if one ended it."""
    words = [*plan.enter_command(init, str(Path.cwd()), user), *command]
    if tty:
        # The command gets a terminal of its own, as its session is not that of the one outside.
        import pty  # noqa: PLC0415 - only here

        return os.waitstatus_to_exitcode(pty.spawn(words))
    try:
        process = subprocess.Popen(  # noqa: S603 - what the user asked for
            words,
            stdin=None if stdin else subprocess.DEVNULL,
            env=environment.for_workloads(),
            close_fds=True,
        )
    except OSError as error:
        raise HostError(f"{words[0]}: {error.strerror}") from error
    with _passing(process.pid):
        status = process.wait()
    return status if status >= 0 else 128 - status


@contextlib.contextmanager
def _passing(pid: int) -> Iterator[None]:
    """Pass signals on to the command, which is the one child of the process that entered the sandbox."""

    def forward(number: int, _: FrameType | None) -> None:
        deadline = time.monotonic() + 1
        while (
            (child := only_child(pid)) is None
            and time.monotonic() < deadline
            and Path(f"/proc/{pid}").exists()
        ):
            time.sleep(0.005)
        # The terminal has told the command of an interrupt already, as it is in the same process group.
        if child is not None and not (number == signal.SIGINT and os.isatty(0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)

    before = {each: signal.signal(each, forward) for each in _PASSED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
