import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from outgate.envoy import identity
from outgate.envoy.admin import Admin
from outgate.envoy.launching import Launch
from outgate.envoy.supervisor import Backoff, State, Supervisor
from outgate.errors import EnvoyError, UnavailableError

pytestmark = pytest.mark.envoy
Make = Callable[..., Supervisor]
Until = Callable[[Callable[[], bool]], Awaitable[None]]


@pytest.fixture
def states() -> list[State]:
    return []


@pytest.fixture
def make(launch: Launch, admin: Admin, pid_file: Path, states: list[State]) -> Make:
    def supervisor(**changes: object) -> Supervisor:
        changed = replace(launch, **changes)  # type: ignore[arg-type] # the test's own names
        fast = Backoff(first=0.02, limit=0.1)
        return Supervisor(changed, admin, pid_file, backoff=fast, on_state=states.append)

    return supervisor


@asynccontextmanager
async def _running(supervisor: Supervisor) -> AsyncIterator[None]:
    """Run it for the block, and cancel it after that as a dying daemon would."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(supervisor.run())
        yield
        task.cancel()


def _alive(pid: int | None) -> bool:
    return pid is not None and identity.start_time(pid) is not None


async def test_it_starts_and_stops(make: Make, states: list[State], pid_file: Path) -> None:
    supervisor = make()
    async with _running(supervisor):
        await supervisor.wait_ready(10)
        pid = supervisor.pid
        assert _alive(pid)
        await supervisor.stop()
    assert not _alive(pid)
    assert not pid_file.exists()
    assert supervisor.pid is None
    assert states == [State.STARTING, State.READY, State.DRAINING, State.STOPPED]


async def test_a_killed_envoy_is_restarted(until: Until, make: Make, states: list[State]) -> None:
    supervisor = make()
    async with _running(supervisor):
        await supervisor.wait_ready(10)
        for count in (1, 2):
            pid = supervisor.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await until(lambda: supervisor.state is State.WAITING)
            assert "SIGKILL" in str(supervisor.failure)
            await until(lambda: supervisor.state is State.READY)
            assert supervisor.pid != pid
            assert supervisor.restarts == count
            assert supervisor.failure is None
        await supervisor.stop(0)
    assert states[:4] == [State.STARTING, State.READY, State.WAITING, State.STARTING]


async def test_a_refused_configuration_is_an_error_with_its_reason(
    make: Make, launch: Launch, caplog: pytest.LogCaptureFixture
) -> None:
    launch.bootstrap.write_text('{"nonsense": 1}')
    supervisor = make()
    async with _running(supervisor):
        with pytest.raises(EnvoyError, match=r"no such field.*nonsense"):
            await supervisor.wait_ready(10)
        await supervisor.stop()
    assert "no such field" in caplog.text
    assert "starting it again in" in caplog.text


async def test_a_crash_loop_ends_when_the_cause_does(
    until: Until, make: Make, launch: Launch, write_bootstrap: Callable[..., Path]
) -> None:
    launch.bootstrap.write_text('{"nonsense": 1}')
    supervisor = make()
    async with _running(supervisor):
        await until(lambda: supervisor.restarts == 2)
        write_bootstrap()
        await until(lambda: supervisor.state is State.READY)
        assert supervisor.failure is None
        await supervisor.stop(0)


async def test_stop_during_the_pause_is_at_once(
    launch: Launch, admin: Admin, pid_file: Path
) -> None:
    bad = replace(launch, binary=Path("/bin/false"))
    supervisor = Supervisor(bad, admin, pid_file, backoff=Backoff(first=60, limit=60))
    async with _running(supervisor):
        with pytest.raises(EnvoyError, match="status 1"):
            await supervisor.wait_ready(10)
        assert supervisor.state is State.WAITING
        async with asyncio.timeout(1):
            await supervisor.stop()


async def test_a_failure_to_start_is_retried(until: Until, make: Make, folder: Path) -> None:
    supervisor = make(directory=folder / "later")
    async with _running(supervisor):
        with pytest.raises(EnvoyError, match="No such file"):
            await supervisor.wait_ready(10)
        (folder / "later").mkdir()
        await until(lambda: supervisor.state is State.READY)
        await supervisor.stop(0)


async def test_one_that_never_is_ready_is_an_error_in_time(
    make: Make, tmp_path: Path, launch: Launch
) -> None:
    idle = tmp_path / "idle"
    idle.write_text("#!/bin/sh\nexec sleep 60\n")
    idle.chmod(0o755)
    supervisor = make(binary=idle)
    async with _running(supervisor):
        with pytest.raises(EnvoyError, match=rf"not ready within 0\.2 s \(see {launch.log_file}"):
            await supervisor.wait_ready(0.2)
        assert supervisor.state is State.STARTING
        await supervisor.stop(0)


async def test_a_cancelled_supervisor_leaves_envoy_to_the_next(until: Until, make: Make) -> None:
    first = make()
    async with _running(first):
        await first.wait_ready(10)
        pid = first.pid
    assert first.state is State.STOPPED
    assert _alive(pid)
    second = make()
    async with _running(second):
        await second.wait_ready(10)
        assert second.pid == pid
        # An adopted one, though no child any more, is watched and restarted as well.
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: second.restarts == 1 and second.state is State.READY)
        await second.stop(0)


_DAEMON = """
import asyncio, pathlib, sys
from outgate.envoy.admin import Admin
from outgate.envoy.launching import Launch
from outgate.envoy.supervisor import Supervisor

async def main(binary, folder):
    launch = Launch(binary, folder / "bootstrap.json", folder / "envoy.log", folder, 1, 3.0)
    supervisor = Supervisor(launch, Admin(folder / "admin.sock"), folder / "envoy.pid")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(supervisor.run())
        await supervisor.wait_ready(10)
        print(supervisor.pid, flush=True)

asyncio.run(main(*map(pathlib.Path, sys.argv[1:])))
"""


async def test_the_envoy_of_a_killed_daemon_is_adopted(
    make: Make, launch: Launch, folder: Path, admin: Admin
) -> None:
    command = [sys.executable, "-c", _DAEMON, str(launch.binary), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        pid = int(await asyncio.to_thread(daemon.stdout.readline))
        daemon.kill()
    assert await admin.ready()
    supervisor = make()
    async with _running(supervisor):
        await supervisor.wait_ready(10)
        assert supervisor.pid == pid
        await supervisor.stop()
    assert not _alive(pid)


async def test_cancelled_while_it_drains_it_ends_envoy(
    until: Until, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from outgate.envoy import supervisor as module

    async def for_ever(*_arguments: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(module, "drain", for_ever)
    supervisor = make()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(supervisor.run())
        await supervisor.wait_ready(10)
        pid = supervisor.pid
        stopping = tasks.create_task(supervisor.stop())
        await asyncio.sleep(0.05)
        assert supervisor.state is State.DRAINING
        running.cancel()
        await stopping
    await until(lambda: not _alive(pid))


async def test_stop_before_run_starts_nothing(make: Make, admin: Admin) -> None:
    supervisor = make()
    await supervisor.stop()
    async with asyncio.timeout(1):
        await supervisor.run()
    with pytest.raises(UnavailableError):
        await admin.ready()


def test_pauses_double_up_to_the_limit_and_vary() -> None:
    backoff = Backoff()
    longest = [max(backoff.pause(count) for _ in range(200)) for count in range(1, 12)]
    for (shorter, longer), expected in zip(
        pairwise(longest), (0.2, 0.4, 0.8, 1.6, 3.2, 6.4), strict=False
    ):
        assert shorter < longer <= expected
    pauses = [backoff.pause(10_000) for _ in range(200)]
    assert 5.0 <= min(pauses) < 5.5
    assert 9.5 < max(pauses) <= 10.0


async def test_a_stable_run_resets_the_pause(
    until: Until, launch: Launch, admin: Admin, pid_file: Path
) -> None:
    short = replace(launch, binary=Path("/bin/false"))
    supervisor = Supervisor(short, admin, pid_file, backoff=Backoff(0.01, 60, stable=0))
    async with _running(supervisor):
        # Without it the twelfth pause would be 10 s or more.
        await until(lambda: supervisor.restarts == 12)
        await supervisor.stop(0)
