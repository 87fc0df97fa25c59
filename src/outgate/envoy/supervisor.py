"""Keeps one Envoy running: adopts what an earlier daemon left, else starts it, and restarts it."""

import asyncio
import contextlib
import enum
import logging
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outgate.envoy.admin import Admin
from outgate.envoy.draining import drain
from outgate.envoy.launching import Launch
from outgate.envoy.process import Process, adopt, start, stop
from outgate.errors import EnvoyError, UnavailableError

_POLL_SECONDS = 0.02
_POLL_LIMIT = 0.5

_log = logging.getLogger(__name__)


class State(enum.Enum):
    """Where a supervised Envoy is in its life."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    """It ended, and is started again after a pause."""
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between restarts: `first`, doubling up to `limit`; anew after a run of `stable`."""

    first: float = 0.1
    limit: float = 10.0
    stable: float = 10.0

    def pause(self, failures: int) -> float:
        """Return the pause after so many failures in a row (from 1), up to half less by chance."""
        # Doubling ends early enough that the power cannot overflow.
        full = min(self.limit, self.first * 2.0 ** min(failures - 1, 64))
        return full * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing


class Supervisor:
    """Keeps one Envoy running while `run` runs.

    `on_state` is called in the event loop at each change of `state`; it must not raise. The files
    in `launch` are read anew at each start.
    """

    def __init__(
        self,
        launch: Launch,
        admin: Admin,
        pid_file: Path,
        *,
        backoff: Backoff | None = None,
        on_state: Callable[[State], None] | None = None,
    ) -> None:
        """Start nothing yet; needs a running event loop."""
        self._launch = launch
        self._admin = admin
        self._pid_file = pid_file
        self._backoff = backoff or Backoff()
        self._on_state = on_state
        self._state = State.STOPPED
        self._changed = asyncio.Event()
        self._stopping: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._process: Process | None = None
        self._failures = 0
        self.restarts = 0
        """How often Envoy was started again since `run` began."""
        self.failure: EnvoyError | None = None
        """Why Envoy ended, or did not start, the last time; None once it is ready."""

    @property
    def state(self) -> State:
        """Where Envoy is in its life."""
        return self._state

    @property
    def pid(self) -> int | None:
        """The process id of the running Envoy."""
        return self._process.identity.pid if self._process else None

    async def run(self) -> None:
        """Keep Envoy running until `stop`, once.

        Cancelling this leaves Envoy running (unless it was draining): the next supervisor with the
        same pid file adopts it. An Envoy that ends, or does not start, is logged, kept in
        `failure` and started again. EnvoyError if the bootstrap cannot be read at the outset.
        """
        try:
            self._process = await adopt(self._launch, self._pid_file, self._admin)
            while not self._stopping.done():
                await self._once()
            await self._finish(self._stopping.result())
        finally:
            self._leave()

    async def wait_ready(self, seconds: float) -> None:
        """Return once Envoy serves; EnvoyError if it fails before, or does not within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while self._state is not State.READY:
                    if self.failure:
                        raise self.failure
                    await self._changed.wait()
        except TimeoutError as error:
            raise EnvoyError(
                f"Envoy was not ready within {seconds:g} s", hint=f"see {self._launch.log_file}"
            ) from error

    async def stop(self, drain_seconds: float | None = None) -> None:
        """Drain for up to `drain_seconds` (default: the launch's; 0: not), end Envoy and `run`."""
        seconds = self._launch.drain_seconds if drain_seconds is None else drain_seconds
        if not self._stopping.done():
            self._stopping.set_result(seconds)
        while self._state is not State.STOPPED:
            await self._changed.wait()

    async def _once(self) -> None:
        """Have Envoy run until it ends or `stop` is called; after its end, wait for the pause."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            self._process = process = self._process or start(self._launch, self._pid_file)
            self._enter(State.STARTING)
            await self._until_ready(process)
            await self._either(process)
            if self._stopping.done():
                return
            failure = process.failure()
        except EnvoyError as error:
            failure = error
        self._process = None
        self._failures = 1 if loop.time() - began >= self._backoff.stable else self._failures + 1
        pause = self._backoff.pause(self._failures)
        _log.warning("%s; starting it again in %.1f s", failure.message, pause)
        self.failure = failure
        self._enter(State.WAITING)
        await asyncio.wait({self._stopping}, timeout=pause)
        self.restarts += not self._stopping.done()

    async def _until_ready(self, process: Process) -> None:
        pause = _POLL_SECONDS
        while not process.exited.done() and not self._stopping.done():
            with contextlib.suppress(UnavailableError):
                if await self._admin.ready():
                    self.failure = None
                    self._enter(State.READY)
                    return
            await self._either(process, pause)
            pause = min(_POLL_LIMIT, pause * 1.1)

    async def _either(self, process: Process, seconds: float | None = None) -> None:
        """Wait until the process ends, `stop` is called, or `seconds` are over."""
        watched: set[asyncio.Future[Any]] = {process.exited, self._stopping}
        await asyncio.wait(watched, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)

    async def _finish(self, drain_seconds: float) -> None:
        process = self._process
        if process is None:
            self._pid_file.unlink(missing_ok=True)
            return
        self._enter(State.DRAINING)
        await drain(process.exited, self._admin, drain_seconds)
        await stop(process, self._pid_file)

    def _leave(self) -> None:
        if self._process is not None:
            if self._state is State.DRAINING:
                self._process.signal(signal.SIGKILL)
            elif not self._process.exited.done():
                _log.info("leaving Envoy running, pid %d", self._process.identity.pid)
            self._process.close()
            self._process = None
        self._enter(State.STOPPED)

    def _enter(self, state: State) -> None:
        if state is self._state:
            return
        self._state = state
        self._changed.set()
        self._changed = asyncio.Event()
        if self._on_state:
            self._on_state(state)
