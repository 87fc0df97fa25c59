"""Starts a pod's command in the background, with its output in the pod's log."""

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from outgate.errors import HostError
from outgate.host import plan
from outgate.host.fleet import Fleet
from outgate.host.pods import Process
from outgate.host.processes import start_time
from outgate.model.names import Name


async def start(fleet: Fleet, name: Name, request: Mapping[str, Any]) -> Process:
    """Start `request["command"]` and note how it ends; HostError if it cannot be started."""
    pod = fleet.get(name)
    if pod.init is None:
        raise HostError(f"pod {name} has not started yet")
    user = request.get("user")
    command = plan.enter_command(pod.init.pid, request["directory"], tuple(user) if user else None)
    log = fleet.layout.pod_log(name)
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        process = await asyncio.create_subprocess_exec(
            *command, *request["command"], stdin=asyncio.subprocess.DEVNULL, stdout=descriptor, stderr=descriptor,
            env=dict(request["environment"]), start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(descriptor)
    started = Process(process.pid, start_time(process.pid) or 0)
    await fleet.started(name, started)

    async def wait() -> None:
        fleet.finished(name, await process.wait())

    fleet.background(wait())
    return started
