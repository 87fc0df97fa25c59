"""Asks the API server about tokens with measure: a flood of junk must cost it little, and keep no proxy waiting.

What is plainly no token for us is refused without asking. Few are asked about at a time, and each address gets its
turn: one that sends junk waits behind itself only, and soon for longer. Answers are remembered for a few seconds, no
more: the API server itself does so for ten with a token that was good, and one that it refused may be good soon, when
word of a new pod has reached it.
"""

import asyncio
import hashlib
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from outgate.errors import UnavailableError
from outgate.kube import tokens
from outgate.kube.rates import Rates
from outgate.kube.tokens import Caller
from outgate.kube.turns import Turns

_log = logging.getLogger(__name__)

Ask = Callable[[str], Awaitable[Caller | None]]
"""Asks the API server; UnavailableError if it cannot be asked."""

AT_A_TIME, OF_AN_ADDRESS, OF_AN_ADDRESS_WAITING = 8, 2, 64
REMEMBERED_SECONDS = 5.0
_REMEMBERED = 4096
REFUSALS, REFUSALS_PER_SECOND = 8, 1.0
"""How often an address may be refused at once, and after that; beyond it nobody is asked, and nothing is logged."""
RETRY_SECONDS = 20.0
"""A stream goes on while nobody can say whether it may: this is how soon it is asked again."""


@dataclass(slots=True, eq=False)
class Reviews:
    """Judges tokens, and those of streams again and again, `every` so many seconds; used from one event loop only."""

    ask: Ask
    every: float = 240.0
    clock: Callable[[], float] = time.monotonic
    _turns: Turns = field(
        default_factory=lambda: Turns(AT_A_TIME, OF_AN_ADDRESS, OF_AN_ADDRESS_WAITING)
    )
    _known: OrderedDict[bytes, tuple[float, Caller | None]] = field(default_factory=OrderedDict)
    _refusals: Rates = field(init=False)

    def __post_init__(self) -> None:
        """Count by the same clock."""
        self._refusals = Rates(REFUSALS, REFUSALS_PER_SECOND, self.clock)

    async def caller(self, token: str, address: str) -> Caller | None:
        """Return whose token it is; None if it proves no pod.

        UnavailableError if the API server cannot be asked, or if too many were refused that came from the address.
        """
        key = hashlib.sha256(token.encode()).digest()
        known = self._known.get(key)
        is_known = known is not None and self.clock() < known[0]
        if known and is_known and known[1]:
            return known[1]
        async with self._turns.turn(address):
            if self._refusals.left(address) < 1:
                raise UnavailableError("too many tokens from this address were refused: try again")
            found = None
            if not is_known and tokens.claims(token):
                found = await self.ask(token)
                self._remember(key, found)
            if found is None:
                self._refusals.take(address)
        return found

    def _remember(self, key: bytes, found: Caller | None) -> None:
        self._known[key] = (self.clock() + REMEMBERED_SECONDS, found)
        self._known.move_to_end(key)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    async def until_refused(self, token: str, caller: Caller) -> str:
        """Return once the token is the caller's no more, with the reason; while nobody can be asked, it still is."""
        pause = self._pause(token)
        while True:
            await asyncio.sleep(pause)
            try:
                async with self._turns.turn(str(caller.pod)):
                    again = await self.ask(token)
            except UnavailableError as error:
                _log.debug("%s stays connected: %s", caller.pod, error)
                pause = RETRY_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311 - not a secret
                continue
            if again != caller:
                return "its token proves its pod no more: it expired, or the pod has gone"
            pause = self._pause(token)

    def _pause(self, token: str) -> float:
        """Return when to ask again: now and then, not all at once, and soon after the token expires."""
        spread = random.uniform(0.75, 1.25)  # noqa: S311 - not a secret
        pause, found = self.every * spread, tokens.claims(token)
        left = (found.expires - time.time()) if found else 0.0
        # The API server may remember for ten seconds that it was good.
        return min(pause, left + 12 * spread) if left > 0 else min(pause, RETRY_SECONDS * spread)
