"""One Envoy process: how it is started, recognised, told to finish and, if need be, killed.

Envoy outlives the daemon that started it, so that traffic goes on without a control plane. A pid
file says which process that was; the next daemon adopts it.
"""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from outgate.envoy import identity
from outgate.envoy.admin import Admin
from outgate.envoy.draining import drain
from outgate.envoy.identity import Identity
from outgate.envoy.launching import Launch, command, fingerprint
from outgate.envoy.logs import explain, tail
from outgate.errors import EnvoyError, UnavailableError

_log = logging.getLogger(__name__)

_SHELL = "/bin/sh"
# The process waits until it is on record, and ends if the daemon dies before that: so there is no
# moment at which a stray Envoy could be left. Each connection takes two descriptors, and the usual
# limit is 1,024: it is raised as far as is allowed.
_GATE = 'read -r go && ulimit -S -n "$(ulimit -H -n)" && exec "$@" </dev/null'
_LOG_LIMIT = 16 * 1024 * 1024
_TERM_SECONDS = 5.0
_ADOPT_SECONDS = 1.0
_POLL_SECONDS = 0.05


class Process:
    """A running Envoy, made by `start` or `adopt` within a running event loop.

    `exited` is done once the process has ended. `close` gives up watching it, and does not end it.
    """

    def __init__(self, pidfd: int, who: Identity, log_file: Path | None, log_offset: int) -> None:
        """Watch the process that `pidfd` refers to, and own that descriptor."""
        self._loop = asyncio.get_running_loop()
        self._pidfd: int | None = pidfd
        self._log = (log_file, log_offset)
        self._status: str | None = None
        self.identity = who
        self.exited: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(pidfd, self._ended)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; to a process that has ended, or is no longer watched, it does nothing."""
        if self._pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def close(self) -> None:
        """Watch no longer."""
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None

    def failure(self) -> EnvoyError:
        """Say why the process ended, by the last useful line of its log."""
        log_file, offset = self._log
        how = self._status or "ended"
        if log_file is None:
            return EnvoyError(f"Envoy {how}")
        return EnvoyError(f"Envoy {how}: {explain(tail(log_file, offset))}", hint=f"see {log_file}")

    def _ended(self) -> None:
        if self._pidfd is not None:
            self._status = _reap(self._pidfd)
        self.close()
        if not self.exited.done():
            self.exited.set_result(None)


def start(launch: Launch, pid_file: Path) -> Process:
    """Start Envoy and write `pid_file`; EnvoyError if it cannot. Admin tells whether it serves."""
    config = fingerprint(launch)
    arguments = (_SHELL, "-c", _GATE, "envoy", *command(launch))
    try:
        offset = _make_room(launch.log_file)
        with launch.log_file.open("ab") as log:
            child = subprocess.Popen(  # noqa: S603 - the binary that was checked
                arguments,
                cwd=launch.directory,
                env={},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise EnvoyError(f"Envoy cannot be started: {error}") from error
    # Its end is seen, and the zombie reaped, through the pidfd alone; and an Envoy that is left
    # running is no leak.
    child.returncode = 0
    pidfd = os.pidfd_open(child.pid)
    who = Identity(
        pid=child.pid,
        start_time=identity.start_time(child.pid) or 0,
        boot=identity.boot_id(),
        executables=_executables(arguments, launch.binary),
        config=config,
    )
    process = Process(pidfd, who, launch.log_file, offset)
    assert child.stdin is not None  # noqa: S101 - for the type checker: it was asked for above
    try:
        with child.stdin as gate:
            identity.write(pid_file, who)
            gate.write(b"go\n")
    except OSError as error:
        process.signal(signal.SIGKILL)
        pid_file.unlink(missing_ok=True)
        raise EnvoyError(f"Envoy cannot be started: {pid_file}: {error}") from error
    _log.info("started Envoy, pid %d", child.pid)
    return process


async def adopt(launch: Launch, pid_file: Path, admin: Admin) -> Process | None:
    """Return the Envoy that `pid_file` describes if it is what `launch` starts, and answers.

    An Envoy that it describes but that runs something else, or does not answer, is stopped. A
    process that merely has the pid is left alone. In each case the pid file of no running process
    is removed.
    """
    process = _recorded(pid_file, launch.log_file)
    if process is None:
        _forget(pid_file)
        return None
    try:
        if await _is_wanted(process, launch, admin):
            _log.info("adopted Envoy, pid %d", process.identity.pid)
            return process
        await stop(process, pid_file)
    except BaseException:
        process.close()
        raise
    return None


async def _is_wanted(process: Process, launch: Launch, admin: Admin) -> bool:
    if process.identity.config != fingerprint(launch):
        _log.info("Envoy, pid %d, runs another configuration", process.identity.pid)
        return False
    if not identity.runs_last(process.identity):
        _log.info("Envoy, pid %d, runs another binary", process.identity.pid)
        return False
    if not await _answers(admin):
        _log.warning("Envoy, pid %d, does not answer", process.identity.pid)
        return False
    return True


async def stop(process: Process, pid_file: Path) -> None:
    """End the process with SIGTERM, after 5 s with SIGKILL, and remove `pid_file`."""
    try:
        process.signal(signal.SIGTERM)
        await asyncio.wait({process.exited}, timeout=_TERM_SECONDS)
        if not process.exited.done():
            _log.warning("Envoy, pid %d, ignores SIGTERM; killing it", process.identity.pid)
    finally:
        # Also if this is cancelled: who asked for the end must not leave it half-done.
        process.signal(signal.SIGKILL)
    await process.exited
    _forget(pid_file)


async def stop_recorded(pid_file: Path, admin: Admin, drain_seconds: float) -> bool:
    """Drain and stop the Envoy that `pid_file` describes; tell whether there was one."""
    process = _recorded(pid_file, None)
    if process is not None:
        await drain(process.exited, admin, drain_seconds)
        await stop(process, pid_file)
    _forget(pid_file)
    return process is not None


def _forget(pid_file: Path) -> None:
    pid_file.unlink(missing_ok=True)


def _recorded(pid_file: Path, log_file: Path | None) -> Process | None:
    who = identity.read(pid_file)
    pidfd = identity.open_verified(who) if who else None
    if who is None or pidfd is None:
        return None
    return Process(pidfd, who, log_file, _size(log_file) if log_file else 0)


def _executables(arguments: Sequence[str], binary: Path) -> tuple[str, ...]:
    launchers = [
        name for name in arguments if name == _SHELL or name.endswith(("/setpriv", "/nsenter"))
    ]
    return tuple(os.path.realpath(name) for name in (*launchers, str(binary)))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _make_room(log_file: Path) -> int:
    """Put a big log aside as `.1`; return the size of what is left: where new output begins."""
    if _size(log_file) > _LOG_LIMIT:
        log_file.replace(log_file.with_name(f"{log_file.name}.1"))
    return _size(log_file)


def _reap(pidfd: int) -> str:
    try:
        result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        result = None  # Adopted: whoever is its parent now learns the status.
    if result is None:
        return "ended"
    if result.si_code == os.CLD_EXITED:
        return f"exited with status {result.si_status}"
    return f"was ended by {signal.Signals(result.si_status).name}"


async def _answers(admin: Admin) -> bool:
    deadline = time.monotonic() + _ADOPT_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(UnavailableError):
            await admin.ready()
            return True
        await asyncio.sleep(_POLL_SECONDS)
    return False
