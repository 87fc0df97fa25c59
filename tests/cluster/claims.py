"""Who has which place: a lock for each, held by the cluster's own first process and its parent as long as they live.

So a place whose lock is free has no cluster, and all that is found there was left by one that was killed.
"""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.commands import ClusterError
from tests.cluster.places import COUNT, ROOT, Place


def take(place: Place) -> int | None:
    """Take a place and return the lock's file descriptor, to be given away or to `leave`; None if it is taken."""
    path = _path(place)
    while True:
        try:
            _make_root()
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # Somebody left, and removed the folder.
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), path.stat()):
                return lock
        except BlockingIOError:
            os.close(lock)
            return None
        except FileNotFoundError:
            pass
        # It was removed between the two: the lock that counts is another file.
        os.close(lock)


def leave(place: Place, lock: int) -> None:
    """Give a place up that is empty, and leave no file behind."""
    _path(place).unlink(missing_ok=True)
    os.close(lock)
    try:
        ROOT.rmdir()
    except OSError:
        return  # There are others.


def is_taken(place: Place) -> bool:
    """Tell whether there is a cluster, or one is being started."""
    if not _path(place).exists():
        return False
    lock = take(place)
    if lock is not None:
        os.close(lock)
    return lock is None


@contextlib.contextmanager
def use(place: Place) -> Iterator[bool]:
    """Use the cluster of a place for the time of a `with` block, alone; False if somebody else does."""
    try:
        file = (place.folder / "use").open("w")
    except FileNotFoundError:
        yield True  # There is none.
        return
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def abandoned() -> Iterator[tuple[Place, int]]:
    """Take each place that has files but no cluster."""
    for index in range(COUNT):
        place = Place(index)
        if (place.folder.exists() or _path(place).exists()) and (lock := take(place)) is not None:
            yield place, lock


def first_free(indices: range) -> tuple[Place, int]:
    """Take the first place of these that is free; ClusterError if there is none."""
    for index in indices:
        lock = take(Place(index))
        if lock is not None:
            return Place(index), lock
    raise ClusterError(f"too many clusters on {socket.gethostname()}: {len(indices)}")


def _path(place: Place) -> Path:
    return ROOT / f"{place.index}.lock"


def _make_root() -> None:
    ROOT.mkdir(mode=0o700, exist_ok=True)
    status = ROOT.lstat()
    if ROOT.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise ClusterError(f"{ROOT} is not root's own folder")
