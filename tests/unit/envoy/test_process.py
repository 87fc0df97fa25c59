import asyncio
import os
import resource
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from outgate.envoy import identity
from outgate.envoy.admin import Admin
from outgate.envoy.identity import Identity
from outgate.envoy.launching import Account, Launch, fingerprint
from outgate.envoy.process import Process, adopt, start, stop, stop_recorded
from outgate.errors import EnvoyError

pytestmark = pytest.mark.envoy

Ready = Callable[[], Awaitable[None]]
Until = Callable[[Callable[[], bool]], Awaitable[None]]


async def _ended(process: Process) -> None:
    async with asyncio.timeout(10):
        await process.exited


def _alive(pid: int) -> bool:
    return identity.start_time(pid) is not None


async def test_it_serves_and_ends_when_told(
    until_ready: Ready, launch: Launch, pid_file: Path
) -> None:
    process = start(launch, pid_file)
    await until_ready()
    recorded = identity.read(pid_file)
    assert recorded == process.identity
    await stop(process, pid_file)
    assert not _alive(process.identity.pid)
    assert not pid_file.exists()


async def test_it_may_open_as_many_files_as_is_allowed(
    until_ready: Ready, launch: Launch, pid_file: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard // 2, hard))
    try:
        process = start(launch, pid_file)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await until_ready()
    pid = process.identity.pid
    assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (hard, hard)
    await stop(process, pid_file)


async def test_it_inherits_nothing(until_ready: Ready, launch: Launch, pid_file: Path) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    process = start(launch, pid_file)
    await until_ready()
    proc = Path(f"/proc/{process.identity.pid}")
    assert (proc / "environ").read_bytes().replace(b"\0", b"") in (
        b"",
        b"PWD=" + bytes(launch.directory),
    )
    assert (proc / "fd/0").readlink() == Path("/dev/null")
    assert (proc / "fd/1").readlink() == launch.log_file
    assert (proc / "fd/2").readlink() == launch.log_file
    assert (proc / "cwd").readlink() == launch.directory
    assert os.getsid(process.identity.pid) == process.identity.pid
    mine = os.fstat(writing).st_ino
    assert mine not in {fd.stat().st_ino for fd in (proc / "fd").iterdir()}
    os.close(reading)
    os.close(writing)


@pytest.mark.root
async def test_an_account_has_its_capabilities_and_no_others(
    until_ready: Ready, launch: Launch, pid_file: Path, admin: Admin, folder: Path
) -> None:
    folder.chmod(0o777)
    start(replace(launch, account=Account(1337, 1338)), pid_file)
    await until_ready()
    who = identity.read(pid_file)
    assert who is not None
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{who.pid}/status").read_text().splitlines()
    )
    wanted = f"{1 << 10 | 1 << 12 | 1 << 21:016x}"
    for kept in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert status[kept] == wanted, kept
    assert status["Uid"].split() == ["1337"] * 4
    assert status["Gid"].split() == ["1338"] * 4
    assert status["Groups"].strip() == ""
    assert status["NoNewPrivs"] == "1"
    adopted = await adopt(replace(launch, account=Account(1337, 1338)), pid_file, admin)
    assert adopted is not None
    await stop(adopted, pid_file)
    assert not _alive(who.pid)


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"outgate-test-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True)


@pytest.mark.root
async def test_an_account_opens_listeners_in_another_namespace(
    until_ready: Ready,
    launch: Launch,
    pid_file: Path,
    folder: Path,
    namespace: str,
    write_bootstrap: Callable[..., Path],
) -> None:
    folder.chmod(0o777)
    write_bootstrap(namespace=f"/run/netns/{namespace}", port=80)
    start(replace(launch, account=Account(1337, 1337)), pid_file)
    await until_ready()
    inside = [
        "ip",
        "netns",
        "exec",
        namespace,
        "curl",
        "-s",
        "-m5",
        "-o/dev/null",
        "-w%{http_code}",
    ]
    done = subprocess.run([*inside, "http://127.0.0.1:80/"], capture_output=True, check=False)
    assert done.stdout == b"200"


async def test_a_refused_configuration_is_shown_in_envoys_words(
    launch: Launch, pid_file: Path
) -> None:
    launch.bootstrap.write_text('{"static_resources": {"clusters": [{"name": ""}]}}')
    process = start(launch, pid_file)
    await _ended(process)
    failure = process.failure()
    assert "exited with status 1: error `Proto constraint validation failed" in failure.message
    assert "Name: value length must be at least 1 characters" in failure.message
    assert failure.message.endswith(f"initializing config '{launch.bootstrap}'")
    assert str(launch.log_file) in failure.hint


async def test_a_binary_that_cannot_run_is_shown_too(launch: Launch, pid_file: Path) -> None:
    process = start(replace(launch, binary=Path("/opt/no-envoy")), pid_file)
    await _ended(process)
    assert "/opt/no-envoy: not found" in process.failure().message


async def test_only_the_output_of_this_run_is_shown(launch: Launch, pid_file: Path) -> None:
    launch.log_file.write_text("[now][1][critical][main] an old story\n")
    process = start(replace(launch, binary=Path("/bin/true")), pid_file)
    await _ended(process)
    assert process.failure().message == "Envoy exited with status 0: no output"


async def test_a_big_log_is_put_aside(launch: Launch, pid_file: Path) -> None:
    with launch.log_file.open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    await _ended(start(replace(launch, binary=Path("/bin/true")), pid_file))
    assert launch.log_file.stat().st_size == 0
    assert launch.log_file.with_name("envoy.log.1").stat().st_size > 16_000_000


async def test_a_missing_folder_is_an_error_at_once(launch: Launch, pid_file: Path) -> None:
    with pytest.raises(EnvoyError, match=r"cannot be started.*No such file"):
        start(replace(launch, directory=Path("/nowhere")), pid_file)


async def test_what_cannot_be_put_on_record_does_not_run(launch: Launch, folder: Path) -> None:
    with pytest.raises(EnvoyError, match="cannot be started"):
        start(launch, folder / "missing" / "pid")
    assert launch.log_file.read_text() == ""


async def test_a_daemon_killed_before_the_record_leaves_nothing(launch: Launch) -> None:
    # As `start` launches it, but with the gate closed by the end of the daemon.
    from outgate.envoy import launching, process

    arguments = ["/bin/sh", "-c", process._GATE, "envoy", *launching.command(launch)]
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, check=False, timeout=10)
    assert done.returncode == 1
    assert not (launch.directory / "admin.sock").exists()


async def test_one_that_ignores_sigterm_is_killed(
    until: Until, launch: Launch, pid_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from outgate.envoy import process as module

    monkeypatch.setattr(module, "_TERM_SECONDS", 0.2)
    stubborn = tmp_path / "stubborn"
    stubborn.write_text("#!/bin/sh\ntrap '' TERM\necho up\nwhile :; do sleep 0.05; done\n")
    stubborn.chmod(0o755)
    process = start(replace(launch, binary=stubborn), pid_file)
    await until(lambda: "up" in launch.log_file.read_text())
    await stop(process, pid_file)
    assert "SIGKILL" in process.failure().message


async def test_adoption_takes_over_what_still_serves(
    until_ready: Ready, launch: Launch, pid_file: Path, admin: Admin
) -> None:
    first = start(launch, pid_file)
    await until_ready()
    first.close()
    adopted = await adopt(launch, pid_file, admin)
    assert adopted is not None
    assert adopted.identity == first.identity
    os.kill(adopted.identity.pid, signal.SIGKILL)
    await _ended(adopted)


@pytest.mark.parametrize("change", ["configuration", "concurrency"])
async def test_an_envoy_of_another_configuration_is_ended(
    until_ready: Ready, launch: Launch, pid_file: Path, admin: Admin, change: str
) -> None:
    first = start(launch, pid_file)
    await until_ready()
    if change == "configuration":
        launch.bootstrap.write_text(launch.bootstrap.read_text() + " ")
    else:
        launch = replace(launch, concurrency=2)
    assert await adopt(launch, pid_file, admin) is None
    assert not _alive(first.identity.pid)
    assert not pid_file.exists()


async def test_an_envoy_whose_admin_is_dead_is_ended(
    until_ready: Ready, launch: Launch, pid_file: Path, admin: Admin, folder: Path
) -> None:
    first = start(launch, pid_file)
    await until_ready()
    (folder / "admin.sock").unlink()
    assert await adopt(launch, pid_file, admin) is None
    assert not _alive(first.identity.pid)


async def test_a_replaced_binary_is_not_adopted(
    until_ready: Ready, launch: Launch, pid_file: Path, admin: Admin, tmp_path: Path
) -> None:
    copy = tmp_path / "envoy"
    os.link(launch.binary, copy)
    launch = replace(launch, binary=copy)
    first = start(launch, pid_file)
    await until_ready()
    copy.unlink()
    assert await adopt(launch, pid_file, admin) is None
    assert not _alive(first.identity.pid)


async def test_a_recycled_pid_is_left_alone(launch: Launch, pid_file: Path, admin: Admin) -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as bystander:
        started = identity.start_time(bystander.pid)
        assert started is not None
        real = Identity(
            bystander.pid, started, identity.boot_id(), (os.path.realpath("/bin/sleep"),), "x"
        )
        for recycled in (
            replace(real, start_time=started - 1),
            replace(real, boot="other"),
            replace(real, executables=(str(launch.binary),), config=fingerprint(launch)),
        ):
            identity.write(pid_file, recycled)
            assert await adopt(launch, pid_file, admin) is None
            assert not pid_file.exists()
            identity.write(pid_file, recycled)
            assert not await stop_recorded(pid_file, admin, 0)
        assert bystander.poll() is None
        bystander.kill()


async def test_stop_recorded_needs_no_supervisor(
    until_ready: Ready, launch: Launch, pid_file: Path, admin: Admin
) -> None:
    process = start(launch, pid_file)
    await until_ready()
    assert await stop_recorded(pid_file, admin, 1)
    assert not _alive(process.identity.pid)
    assert not await stop_recorded(pid_file, admin, 1)
