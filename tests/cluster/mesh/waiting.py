"""Waits for what a cluster does in its own time."""

import time
from collections.abc import Callable
from typing import Any

from tests.cluster.commands import ClusterError


def eventually(found: Callable[[], Any], seconds: float = 30) -> Any:
    """Return what is found once it is there, and is not nothing."""
    deadline = time.monotonic() + seconds
    last: object
    while True:
        try:
            if value := found():
                return value
        except (ClusterError, AssertionError, IndexError, KeyError) as error:
            last = error
        else:
            last = value
        assert time.monotonic() < deadline, f"it did not come about in time: {last}"
        time.sleep(0.3)
