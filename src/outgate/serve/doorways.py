"""Bounds how many may wait to be let in, so that strangers cost little and are not in the way of those who may come in.

Each address has a share, so that one that takes all of its own leaves the others theirs.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from outgate.errors import UnavailableError


@dataclass(slots=True, eq=False)
class Doorway:
    """Who waits at present, by address; used from one event loop only."""

    most: int = 512
    most_per_address: int = 64
    """Proxies of a whole node may come from one address, where that is translated."""
    waiting: Counter[str] = field(default_factory=Counter)
    total: int = 0

    @contextmanager
    def place(self, address: str) -> Iterator[None]:
        """Wait for the time of a `with` block; UnavailableError if too many do so already."""
        if self.total >= self.most or self.waiting[address] >= self.most_per_address:
            raise UnavailableError("too many wait to be let in: try again")
        self.total += 1
        self.waiting[address] += 1
        try:
            yield
        finally:
            self.total -= 1
            self.waiting[address] -= 1
            if not self.waiting[address]:
                del self.waiting[address]
