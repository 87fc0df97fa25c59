"""A limit on how often something is done, without I/O: a bucket of tokens, as client-go's event recorders have one."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Bucket:
    """`rate` tokens a second, and at most `burst` of them at once; `now` is a monotonic clock, in seconds."""

    rate: float
    burst: int
    _tokens: float = field(init=False)
    _at: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Begin full."""
        self._tokens = float(self.burst)

    def left(self, now: float) -> float:
        """Return how many tokens there are; less than none where some were taken in advance."""
        since = 0.0 if self._at is None else max(now - self._at, 0.0)
        return min(self._tokens + since * self.rate, float(self.burst))

    def take(self, now: float) -> float:
        """Take a token, and return for how many seconds one has to wait until it is there."""
        self._tokens = self.left(now) - 1
        self._at = now
        return max(-self._tokens / self.rate, 0.0)
