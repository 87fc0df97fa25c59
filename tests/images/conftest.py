"""Both images, built once from nothing, and unpacked; and what runs a command in one."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
CONFINE = Path(__file__).with_name("confine.py")
NETNS = "og-test-images"


@dataclass(frozen=True)
class Archive:
    """An archive in the format of `docker save`, and the folder that its layers were unpacked to."""

    path: Path
    root: Path
    manifest: dict[str, Any]
    config: dict[str, Any]
    members: list[tarfile.TarInfo]

    def run(self, *command: str, uid: int = 4711, capabilities: str = "", netns: str = "") -> str:
        """Run a command in it, by default as a user that it knows nothing of; return what it printed."""
        confined = [sys.executable, str(CONFINE), str(self.root), str(uid), capabilities, *command]
        outside = ["ip", "netns", "exec", netns] if netns else ["unshare", "--net"]
        done = subprocess.run(
            [*outside, "unshare", "--mount", *confined],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@dataclass(frozen=True)
class Checkout:
    """A copy of what images are made from, with a cache of its own; `output` is where they are written to."""

    folder: Path

    @classmethod
    def copy(cls, folder: Path, source: Path = PROJECT) -> "Checkout":
        ignore = shutil.ignore_patterns("__pycache__")
        for name in ("images", "scripts", "src"):
            shutil.copytree(source / name, folder / name, ignore=ignore)
        for name in ("pyproject.toml", "requirements.lock", "README.md", "LICENSE"):
            shutil.copyfile(source / name, folder / name)
        (folder / ".venv").symlink_to(PROJECT / ".venv")
        return cls(folder)

    @property
    def output(self) -> Path:
        return self.folder / "out"

    def build(self, *arguments: str, umask: int = 0o022, zone: str = "UTC") -> str:
        done = subprocess.run(
            ["scripts/images", "--output", "out", "--cache", "cache", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"TZ": zone, "SOURCE_DATE_EPOCH": "86400"},
            umask=umask,
            cwd=self.folder,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def manifest(path: Path) -> dict[str, Any]:
    with tarfile.open(path) as archive:
        [found] = _json(archive, "manifest.json")
    assert isinstance(found, dict)
    return found


def unpack(path: Path, root: Path) -> Archive:
    root.mkdir()
    found, members = manifest(path), []
    with tarfile.open(path) as archive:
        for name in found["Layers"]:
            with tarfile.open(fileobj=archive.extractfile(name)) as layer:
                members += layer.getmembers()
                # As they are: what is to be seen is whether that is harmless.
                layer.extractall(root, filter="fully_trusted")  # noqa: S202
        return Archive(path, root, found, _json(archive, found["Config"]), members)


def _json(archive: tarfile.TarFile, name: str) -> Any:
    file = archive.extractfile(name)
    assert file is not None
    return json.load(file)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    made = Checkout.copy(tmp_path_factory.mktemp("images"))
    made.build()
    return made


@pytest.fixture(scope="session")
def outgate(checkout: Checkout) -> Archive:
    return unpack(checkout.output / "outgate.tar", checkout.folder / "outgate")


@pytest.fixture(scope="session")
def envoy(checkout: Checkout) -> Archive:
    return unpack(checkout.output / "envoy.tar", checkout.folder / "envoy")


@pytest.fixture
def netns() -> Iterator[str]:
    subprocess.run(["ip", "netns", "add", NETNS], check=True)
    yield NETNS
    subprocess.run(["ip", "netns", "del", NETNS], check=True)
