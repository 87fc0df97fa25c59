"""Counts what each of many may do in a time; what is kept of them has bounds itself."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

_KEPT = 4096


@dataclass(slots=True, eq=False)
class Rates:
    """Each key may have `burst` at once, and `per_second` after that; who was seen longest ago is forgotten first."""

    burst: float
    per_second: float
    clock: Callable[[], float] = time.monotonic
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def left(self, key: str) -> float:
        """Return how many it has left."""
        left, at = self._left.get(key, (self.burst, 0.0))
        return min(self.burst, left + (self.clock() - at) * self.per_second)

    def take(self, key: str) -> None:
        """Count one, also where none is left."""
        self._left[key] = (self.left(key) - 1, self.clock())
        self._left.move_to_end(key)
        while len(self._left) > _KEPT:
            self._left.popitem(last=False)
