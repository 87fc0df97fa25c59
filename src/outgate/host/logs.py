"""Reads the logs of pods and of the egress."""

import json
import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from outgate.errors import NotFoundError
from outgate.host.plan import Layout
from outgate.model.names import Name

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
    layout: Layout, name: str | None, namespace: str, *, tail: int = -1, follow: bool = False
) -> Iterator[str]:
    """Yield the JSON lines of the calls of one pod, or of all."""
    path = layout.egress_log
    if not path.is_file():
        return
    for line in _lines(path, tail=-1 if name else tail, follow=follow):
        if name is None or _is_of(line, name, namespace):
            yield line


def _is_of(line: str, name: str, namespace: str) -> bool:
    try:
        fields = json.loads(line)
    except ValueError:
        return False
    return isinstance(fields, dict) and (fields.get("pod"), fields.get("namespace")) == (
        name,
        namespace,
    )


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
