"""A folder that is filled to become a layer of an image."""

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from images.commands import CLEAN, run

PYTHON = "/usr/bin/python3.11"
"""The interpreter of the image, and what compiles for it."""
_ELF = b"\x7fELF"


@dataclass(frozen=True, slots=True)
class Rootfs:
    """The folder; all paths that its methods take are those in the image, from the root."""

    folder: Path

    def at(self, path: str) -> Path:
        """Return where a path of the image is while it is filled."""
        return self.folder / path.lstrip("/")

    def make(self, path: str, mode: int = 0o755) -> None:
        """Make an empty folder."""
        self.at(path).mkdir(parents=True, exist_ok=True)
        self.at(path).chmod(mode)

    def write(self, path: str, text: str, *, program: bool = False) -> None:
        """Write a file."""
        self._parent(path)
        self.at(path).write_text(text, encoding="utf-8")
        self.at(path).chmod(0o755 if program else 0o644)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link; one that is there stays."""
        self._parent(path)
        if not self.at(path).is_symlink():
            self.at(path).symlink_to(target)

    def copy(self, path: str, source: Path | None = None) -> None:
        """Copy a file of this machine, by default the one at the same path; links as links, with what they lead to.

        Folders above it that are links, as /lib is where /usr is merged, are not followed into a second copy.
        """
        origin = source or Path(path)
        place = f"{Path(path).parent.resolve()}/{Path(path).name}" if source is None else path
        if source is None and origin.is_symlink():
            self.link(place, str(origin.readlink()))
            self.copy(str(origin.parent / origin.readlink()))
            return
        self._parent(place)
        shutil.copyfile(origin, self.at(place))
        self.at(place).chmod(0o755 if origin.stat().st_mode & stat.S_IXUSR else 0o644)

    def files(self) -> Iterator[Path]:
        """Yield all files, links not among them."""
        yield from (
            each
            for each in sorted(self.folder.rglob("*"))
            if each.is_file() and not each.is_symlink()
        )

    def programs(self) -> Iterator[Path]:
        """Yield programs and libraries in machine code."""
        for path in self.files():
            with path.open("rb") as file:
                if file.read(len(_ELF)) == _ELF:
                    yield path

    def compile(self, path: str) -> None:
        """Compile the Python modules below a path.

        Nothing but the source decides over the result: no time, no order of a set. It is not compared with the source
        at start: on a read-only file system it could not be replaced anyway.
        """
        run(
            *(PYTHON, "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"),
            *("-s", str(self.folder), "-p", "/", str(self.at(path))),
            environment=CLEAN,
        )

    def finish(self, epoch: int) -> None:
        """Give all that is there the same times and plain modes, whatever this machine's are."""
        for path in (self.folder, *self.folder.rglob("*")):
            if not path.is_symlink():
                path.chmod(_mode(path))
            os.utime(path, (epoch, epoch), follow_symlinks=False)

    def _parent(self, path: str) -> None:
        self.at(path).parent.mkdir(parents=True, exist_ok=True)


def _mode(path: Path) -> int:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        return 0o1777 if mode & stat.S_ISVTX else 0o755
    return 0o755 if mode & stat.S_IXUSR else 0o644
