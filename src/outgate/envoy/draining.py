"""Lets what is open in an Envoy finish before it is stopped."""

import asyncio
import logging

from outgate.envoy.admin import Admin
from outgate.errors import UnavailableError

_POLL_SECONDS = 0.05

_log = logging.getLogger(__name__)


async def drain(exited: asyncio.Future[None], admin: Admin, seconds: float) -> None:
    """Let open requests and TCP connections finish, for at most `seconds`, or until `exited`.

    Idle HTTP connections do not count. An Envoy whose admin fails is not waited for.
    """
    if seconds <= 0:
        return
    deadline = asyncio.get_running_loop().time() + seconds
    try:
        async with asyncio.timeout_at(deadline):
            await admin.drain()
            while not exited.done() and await _busy(admin):
                await asyncio.wait({exited}, timeout=_POLL_SECONDS)
    except UnavailableError as error:
        _log.warning("Envoy stops without a drain: %s", error)
    except TimeoutError:
        _log.info("open requests did not finish within %g s", seconds)


async def _busy(admin: Admin) -> bool:
    stats = await admin.stats(r"^(http|listener)\..*\.downstream_(cx|rq)_active$")
    if not stats:
        return True  # The configuration leaves these gauges out: give all the time there is.
    requests = connections = 0
    for name, value in stats.items():
        kind, _, rest = name.partition(".")
        if rest.startswith("admin.") or ".worker_" in rest:
            continue
        if rest.endswith(".downstream_rq_active"):
            requests += int(value)
        else:
            # What remains are connections that no HTTP connection manager has: TCP, and those still
            # in inspection.
            connections += int(value) if kind == "listener" else -int(value)
    return requests > 0 or connections > 0
