"""Installs Python packages into a layer, by pip: the versions, and the very files, that the lock files name."""

import shutil
import sys
import tempfile
from pathlib import Path

from images import lock
from images.commands import run
from images.rootfs import PYTHON as INTERPRETER
from images.rootfs import Rootfs

__all__ = ["INTERPRETER", "install_packages", "install_project", "install_tools"]

BUILDER = sys.executable
"""What has pip."""
SITE = "/usr/local/lib/python3.11/dist-packages"
"""On Debian's search path for packages that are not from Debian."""

# What packages are compiled from, and what only type checkers read.
_SOURCES = {".c", ".cc", ".cpp", ".h", ".hpp", ".pxd", ".pxi", ".pyi", ".pyx"}
# pip writes into it where the package was installed from.
_ORIGIN = "direct_url.json"


def needed(project: Path) -> str:
    """Return the part of requirements.lock that the image needs."""
    texts = (
        (project / name).read_text(encoding="utf-8")
        for name in ("requirements.lock", "pyproject.toml")
    )
    return lock.runtime(*texts)


def install_packages(root: Rootfs, project: Path) -> None:
    """Install what the image needs."""
    with tempfile.NamedTemporaryFile("w", suffix=".lock", encoding="utf-8") as file:
        file.write(needed(project))
        file.flush()
        _install(root.at(SITE), "--only-binary", ":all:", "--require-hashes", "-r", file.name)
    _tidy(root)


def install_tools(folder: Path, project: Path) -> None:
    """Install what builds the project, which does not become part of an image."""
    _install(
        folder,
        "--only-binary",
        ":all:",
        "--require-hashes",
        "-r",
        str(project / "images/build.lock"),
    )


def install_project(root: Rootfs, project: Path, tools: Path) -> None:
    """Install Outgate, built with `tools`."""
    _install(root.at(SITE), "--no-index", "--no-build-isolation", str(project), path=str(tools))
    _tidy(root)


def _install(folder: Path, *arguments: str, path: str = "") -> None:
    """Have pip install into a folder; `path` is what else can be imported meanwhile.

    The environment is the user's: it may say where packages come from.
    """
    run(
        *("env", f"PYTHONPATH={path}" if path else "--unset=PYTHONPATH"),
        *(BUILDER, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *("--no-compile", "--no-warn-script-location", "--target", str(folder), *arguments),
    )


def _tidy(root: Rootfs) -> None:
    """Remove what does not run in the image or tells of this machine, and compile the rest."""
    site = root.at(SITE)
    # The commands of packages start with the path of the interpreter that installed them.
    shutil.rmtree(site / "bin", ignore_errors=True)
    for each in list(root.files()):
        if each.suffix in _SOURCES or each.name == _ORIGIN:
            each.unlink()
    for record in site.glob("*.dist-info/RECORD"):
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = (
            line for line in lines if (site / line.rpartition(",")[0].rpartition(",")[0]).exists()
        )
        record.write_text("".join(sorted(kept)), encoding="utf-8")
    root.compile(SITE)
