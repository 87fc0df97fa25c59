"""Starting and stopping the local mesh."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time

import click

from outgate import environment
from outgate.cli.common import client, layout, say
from outgate.errors import HostError, UnavailableError
from outgate.host.plan import Layout

UP_SECONDS = 30.0


@click.command("up")
@click.option("--foreground", is_flag=True, help="Stay in the foreground, for a service manager.")
@click.option("--capture", type=click.Choice(["node", "sidecar"]), help="How pods are captured.")
def up_command(foreground: bool, capture: str | None) -> None:
    """Start the local mesh: the control plane and the egress Envoy."""
    if capture:
        environment.override("capture", capture)
    where = layout()
    if os.geteuid() != 0:
        raise HostError("the local mesh needs root: it makes network namespaces", hint="use sudo")
    if client().is_up():
        say("the local mesh is up already")
        return
    if foreground:
        _serve(where)
    else:
        _start(where)


def _serve(where: Layout) -> None:
    from outgate.host import running  # noqa: PLC0415 - imports grpc

    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    asyncio.run(running.serve(where))


def _start(where: Layout) -> None:
    where.settings.log_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = where.settings.log_dir / "daemon.log"
    with log.open("ab") as output:
        offset = output.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "outgate", "up", "--foreground"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            env=environment.inherited(),
        )
    deadline = time.monotonic() + UP_SECONDS
    ready = where.run / "ready"
    while time.monotonic() < deadline:
        if ready.exists() and ready.read_text().strip() == str(process.pid):
            say("the local mesh is up")
            return
        if process.poll() is not None:
            said = log.read_bytes()[offset:].decode(errors="replace").strip().splitlines()
            reason = said[-1].removeprefix("error: ") if said else "no reason given"
            raise HostError(f"the local mesh did not start: {reason}", hint=f"see {log}")
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGTERM)
    raise UnavailableError("the local mesh was not ready in time", hint=f"see {log}")


@click.command("down")
def down_command() -> None:
    """Stop the local mesh and all of its pods; resources stay."""
    where = layout()
    if client().is_up():
        client().call("stop")
        deadline = time.monotonic() + where.settings.drain_seconds + 20
        while where.api.exists() or (where.run / "ready").exists():
            if time.monotonic() > deadline:
                raise UnavailableError(
                    "the local mesh does not stop", hint=f"see {where.settings.log_dir}"
                )
            time.sleep(0.01)
        say("the local mesh is down")
        return
    from outgate.host import running  # noqa: PLC0415

    left = asyncio.run(running.sweep(where))
    say("the local mesh is down" if left else "the local mesh was not up")
