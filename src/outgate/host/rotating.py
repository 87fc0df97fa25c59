"""Keeps the egress log from filling the disk: a line for each call is much, and nobody else would put it aside."""

import asyncio
import logging
from pathlib import Path

from outgate.envoy.admin import Admin
from outgate.errors import UnavailableError

_log = logging.getLogger(__name__)

SECONDS = 5.0


async def run(path: Path, most: int, admin: Admin) -> None:
    """Put the log aside whenever it is longer than `most` bytes, for ever; one earlier log is kept."""
    while True:
        await asyncio.sleep(SECONDS)
        try:
            if _rotate(path, most):
                await admin.reopen_logs()
        except (OSError, UnavailableError) as error:
            # Envoy writes on, into the log that was put aside, until it is asked again.
            _log.warning("%s is not put aside: %s", path, error)


def _rotate(path: Path, most: int) -> bool:
    """Put the log aside if it is too long; return whether Envoy must be asked to begin another one."""
    try:
        if path.stat().st_size <= most:
            return False
        path.replace(path.with_name(f"{path.name}.1"))
    except FileNotFoundError:
        # Nothing was written yet, or Envoy could not be asked the last time.
        pass
    return True
