"""Runs the daemon from start to end, and cleans up after one that could not."""

import asyncio
import contextlib
import logging
import os
import signal

from outgate.errors import OutgateError
from outgate.host import guarding, proxies, sandboxes
from outgate.host.api import Api
from outgate.host.daemon import make, only_one, prepare
from outgate.host.plan import Layout
from outgate.host.store import write_atomically

_log = logging.getLogger(__name__)


async def serve(layout: Layout) -> None:
    """Be the daemon until it is told to stop, or gets SIGTERM or SIGINT."""
    prepare(layout)
    with only_one(layout):
        daemon = make(layout.settings)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, daemon.stopping.set)
        ready = asyncio.Event()
        note = layout.run / "ready"
        note.unlink(missing_ok=True)

        async def announce() -> None:
            await ready.wait()
            write_atomically(note, f"{os.getpid()}\n".encode())
            _log.info("ready")

        try:
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(announce())
                await daemon.run(Api(daemon).serving(layout.api), ready)
                waiting.cancel()
        except* OutgateError as several:
            raise _first(several) from None
        finally:
            note.unlink(missing_ok=True)
        remove_empty(layout)


def _first(several: BaseExceptionGroup[OutgateError]) -> OutgateError:
    found: BaseException = several
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, OutgateError)  # noqa: S101 - the group holds nothing else
    return found


def remove_empty(layout: Layout) -> None:
    """Remove the run folder's leftovers, so that nothing of a mesh that is down remains."""
    for name in (
        "api.sock",
        "xds.sock",
        "tunnel.sock",
        "ports.json",
        "ready",
        "daemon.lock",
        "envoy.json",
        "envoy.pid.json",
        "envoy-version.json",
        "envoy-admin.sock",
    ):
        (layout.run / name).unlink(missing_ok=True)
    for path in (layout.pods, layout.run):
        with contextlib.suppress(OSError):
            path.rmdir()


async def sweep(layout: Layout) -> bool:
    """Remove what a daemon that was killed has left; return whether there was anything."""
    found = sandboxes.namespaces(layout)
    pods = sandboxes.saved(layout) if layout.pods.is_dir() else []
    if not found and not layout.run.is_dir():
        return False
    prepare(layout)
    with only_one(layout):
        for pod in pods:
            await sandboxes.remove(pod, layout)
        for name in found:
            await sandboxes.remove_namespace(name)
        await sandboxes.remove_links(layout)
        await proxies.stop_left(layout)
        await guarding.remove(layout)
    remove_empty(layout)
    return True
