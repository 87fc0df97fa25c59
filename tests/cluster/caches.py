"""The folder, outside the tree, of all that is made once: it can be removed at any time."""

import fcntl
import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Say = Callable[[str], None]
"""Tells the user at once what takes long."""


def cache() -> Path:
    """Return the folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "outgate" / "cluster"


def key(*made_from: bytes) -> str:
    """Return what to call that which is made from this, on a machine of this kind."""
    hashed = hashlib.sha256(platform.machine().encode())
    for part in made_from:
        hashed.update(b"%d\0%s" % (len(part), part))
    return hashed.hexdigest()[:16]


@contextmanager
def once(folder: Path) -> Iterator[Path | None]:
    """Give a folder to fill that becomes `folder` when the block ends well; None if there is that already.

    Two processes that do so at once do not clash: the other one waits.
    """
    if folder.exists():
        yield None
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            yield None
            return
        # What a killed process left: nobody else can be filling one.
        for left in folder.parent.glob("new-*"):
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(prefix="new-", dir=folder.parent) as new:
            filled = Path(new) / "it"
            filled.mkdir()
            yield filled
            filled.rename(folder)
