"""Counts what each of many may do in a time; what is kept of them has bounds itself."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from outgate.kube.paces import Bucket

_KEPT = 4096


@dataclass(slots=True, eq=False)
class Rates:
    """Each key may have `burst` at once, and `per_second` after that; who was seen longest ago is forgotten first."""

    burst: int
    per_second: float
    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[str, Bucket] = field(default_factory=OrderedDict)

    def left(self, key: str) -> float:
        """Return how many it has left."""
        bucket = self._buckets.get(key)
        return bucket.left(self.clock()) if bucket else float(self.burst)

    def take(self, key: str) -> None:
        """Count one, also where none is left."""
        bucket = self._buckets.setdefault(key, Bucket(self.per_second, self.burst))
        bucket.take(self.clock())
        self._buckets.move_to_end(key)
        while len(self._buckets) > _KEPT:
            self._buckets.popitem(last=False)
