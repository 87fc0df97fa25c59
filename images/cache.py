"""Keeps what was built until something that it is made from changes."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from images import archive
from images.archive import Layer
from images.rootfs import Rootfs

_KEPT = 3
"""Versions of each thing, for those who go back and forth between some."""


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder that can be removed at any time; `opened` gives one that nobody else uses meanwhile."""

    folder: Path

    def entry(self, name: str, key: str, fill: Callable[[Path], None]) -> Path:
        """Return the folder of a thing with a key, filled if there is none yet."""
        found = self.folder / f"{name}-{key}"
        if not found.exists():
            with tempfile.TemporaryDirectory(prefix="new-", dir=self.folder) as new:
                (filled := Path(new) / "it").mkdir()
                fill(filled)
                filled.rename(found)
        os.utime(found)
        stamped = sorted(self.folder.glob(f"{name}-*"), key=lambda each: each.stat().st_mtime_ns)
        for old in stamped[:-_KEPT]:
            shutil.rmtree(old)
        return found

    def layer(self, name: str, key: str, epoch: int, fill: Callable[[Rootfs], None]) -> Layer:
        """Return a packed layer; `fill` is only called where there is none with that key."""

        def make(folder: Path) -> None:
            root = Rootfs(folder / "root")
            root.make("/")
            fill(root)
            root.finish(epoch)
            digest = archive.pack(root.folder, folder / "layer.tar", epoch)
            (folder / "digest").write_text(digest, encoding="ascii")
            shutil.rmtree(root.folder)

        found = self.entry(name, key, make)
        return Layer(name, found / "layer.tar", (found / "digest").read_text(encoding="ascii"))


@contextmanager
def opened(folder: Path) -> Iterator[Cache]:
    """Give the cache in a folder; another process that wants it waits."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # What a killed process left.
        for left in folder.glob("new-*"):
            shutil.rmtree(left)
        yield Cache(folder)


def key(*parts: str | Path) -> str:
    """Return a key of texts and of files with their content; of a folder, that of all files but compiled ones."""
    hashed = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            hashed.update(f"text {len(part)}\0{part}".encode())
            continue
        files = (each for each in part.rglob("*") if "__pycache__" not in each.parts)
        for each in sorted(files) if part.is_dir() else [part]:
            if each.is_file():
                content = each.read_bytes()
                hashed.update(
                    f"file {each.relative_to(part.parent)}\0{len(content)}\0".encode() + content
                )
    return hashed.hexdigest()[:16]
