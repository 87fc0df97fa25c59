import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from outgate.internet import owners
from outgate.internet.owners import Owner


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(owners, "ROOT", tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        yield process
        process.kill()


def test_an_owner_lives_as_long_as_its_process(child: subprocess.Popen[bytes]) -> None:
    owner = owners.owner_of(child.pid)
    assert owner.lives()
    assert not Owner(owner.pid, owner.started - 1).lives()
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not owner.lives()
    child.wait()
    assert not owner.lives()


def test_folders_name_their_owner(root: Path) -> None:
    assert owners.folders() == []
    mine = owners.folder_for(3)
    mine.mkdir(parents=True)
    (root / "something-else").mkdir()
    assert owners.folders() == [(mine, 3, owners.owner_of(os.getpid()))]


def test_the_recorded_server_is_killed_and_no_other(
    root: Path, child: subprocess.Popen[bytes]
) -> None:
    root.mkdir()
    owners.end_server(root)
    server = owners.owner_of(child.pid)
    (root / "server").write_text(f"{server.pid}-{server.started - 1}")
    owners.end_server(root)
    assert child.poll() is None
    owners.record_server(root, child.pid)
    owners.end_server(root)
    assert child.wait(5) == -9


def test_the_last_to_go_removes_the_root(root: Path) -> None:
    for index in (1, 2):
        owners.folder_for(index).mkdir(parents=True)
    owners.forget(owners.folder_for(1))
    assert root.exists()
    owners.forget(owners.folder_for(2))
    assert not root.exists()
