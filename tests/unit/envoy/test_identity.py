import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from outgate.envoy import identity
from outgate.envoy.identity import Identity


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        yield process
        process.kill()


@pytest.fixture
def who(child: subprocess.Popen[bytes]) -> Identity:
    started = identity.start_time(child.pid)
    assert started is not None
    executables = (os.path.realpath("/bin/sh"), os.path.realpath("/bin/sleep"))
    return Identity(child.pid, started, identity.boot_id(), executables, "digest")


def test_the_very_process_is_recognised(who: Identity, child: subprocess.Popen[bytes]) -> None:
    pidfd = identity.open_verified(who)
    assert pidfd is not None
    child.kill()
    assert select.select([pidfd], [], [], 5)[0] == [pidfd]
    os.close(pidfd)


def test_another_process_with_the_pid_is_not(who: Identity) -> None:
    recycled = replace(who, start_time=who.start_time - 1)
    assert identity.open_verified(recycled) is None


def test_the_same_ticks_of_another_boot_are_not(who: Identity) -> None:
    assert identity.open_verified(replace(who, boot="0" * 36)) is None


def test_another_program_is_not(who: Identity) -> None:
    assert identity.open_verified(replace(who, executables=(sys.executable,))) is None


def test_a_dead_one_and_a_zombie_are_not(who: Identity, child: subprocess.Popen[bytes]) -> None:
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert identity.open_verified(who) is None
    child.wait()
    assert identity.open_verified(who) is None


def test_a_launcher_that_has_not_come_to_its_end_is_told_apart(who: Identity) -> None:
    assert identity.runs_last(who)
    assert not identity.runs_last(replace(who, executables=who.executables[::-1]))


def test_a_pid_file_is_read_as_written(tmp_path: Path, who: Identity) -> None:
    path = tmp_path / "pid"
    identity.write(path, who)
    assert identity.read(path) == who
    assert [file.name for file in tmp_path.iterdir()] == ["pid"]


@pytest.mark.parametrize("content", ["", "12", "{}", "[]", '{"pid": "x"}', "\udcff"])
def test_a_damaged_pid_file_is_as_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "pid"
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    assert identity.read(path) is None
    assert identity.read(tmp_path / "gone") is None


@pytest.mark.parametrize("pid", [-1, 0, 2**31, 2**70])
def test_an_absurd_pid_is_no_process(tmp_path: Path, who: Identity, pid: int) -> None:
    path = tmp_path / "pid"
    identity.write(path, replace(who, pid=pid))
    assert json.loads(path.read_text())["pid"] == pid
    read = identity.read(path)
    assert read is not None
    assert identity.open_verified(read) is None


def test_odd_command_names_do_not_confuse(tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 (b"
    program.symlink_to(os.path.realpath("/bin/sleep"))
    with subprocess.Popen([program, "60"]) as process:
        known = identity.start_time(process.pid)
        process.kill()
    own = identity.start_time(os.getpid())
    assert known is not None
    assert own is not None
    assert known >= own
