"""Reads the files that resources name for certificates and credentials, and again when they have changed."""

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from outgate.traffic.references import FileKey, Material

MOST_BYTES = 1 << 20
"""Of a file; what a Secret may hold."""
LOOK_SECONDS = 1.0
"""How often it is looked whether a file has changed: where one is replaced by a link, as Kubernetes mounts Secrets,
there may be no event that tells."""

_Mark = tuple[int, int, int, int]


@dataclass(slots=True, eq=False)
class Files:
    """What was read, by what the file system said of each file then."""

    _seen: dict[FileKey, _Mark | None] = field(default_factory=dict)

    def changes(self, wanted: Iterable[Material]) -> Iterator[tuple[Material, bytes | None]]:
        """Yield files of `wanted` that are new or changed (None: cannot be read), and None for others that were."""
        files = {each for each in wanted if isinstance(each, FileKey)}
        for key in self._seen.keys() - files:
            del self._seen[key]
            yield key, None
        for key in sorted(files):
            mark = _mark(key.path)
            if key not in self._seen or self._seen[key] != mark:
                self._seen[key] = mark
                yield key, _read(key.path) if mark else None


def _mark(path: str) -> _Mark | None:
    """Return what changes with a file; None if it is none, or too large."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _read(path: str) -> bytes | None:
    try:
        with Path(path).open("rb") as file:
            return file.read(MOST_BYTES)
    except OSError:
        return None
