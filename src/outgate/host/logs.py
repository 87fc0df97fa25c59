"""Reads the logs of pods and of the egress."""

import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from outgate.errors import NotFoundError
from outgate.host.plan import Layout
from outgate.model.names import Name
from outgate.xds.log_lines import Wanted

_POLL_SECONDS = 0.2


def pod(
    layout: Layout, name: str, namespace: str, *, tail: int = -1, follow: bool = False
) -> Iterator[str]:
    """Yield the lines of a pod's output; NotFoundError where it has none."""
    path = layout.pod_log(Name(namespace, name))
    if not path.is_file():
        raise NotFoundError(
            f'no log of pod "{name}" in namespace "{namespace}"', hint="only run -d keeps one"
        )
    return _lines(path, tail=tail, follow=follow)


def egress(
    layout: Layout, wanted: Wanted, *, tail: int = -1, follow: bool = False
) -> Iterator[str]:
    """Yield the JSON lines of the calls that are wanted."""
    path = layout.egress_log
    if not path.is_file():
        return
    for line in _lines(path, tail=tail if wanted.everything else -1, follow=follow):
        if wanted.everything or wanted.has(line):
            yield line


def _lines(path: Path, *, tail: int, follow: bool) -> Iterator[str]:
    file = path.open(encoding="utf-8", errors="replace")
    try:
        yield from file if tail < 0 else deque(file, maxlen=tail)
        while follow:
            if line := file.readline():
                yield line
            elif _is_another(path, file):
                file.close()
                file = path.open(encoding="utf-8", errors="replace")
            else:
                time.sleep(_POLL_SECONDS)
    finally:
        file.close()


def _is_another(path: Path, file: TextIO) -> bool:
    """Whether a file was put aside, and another one has its name now."""
    try:
        return not os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
