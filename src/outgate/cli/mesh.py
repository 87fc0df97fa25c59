"""Starting, stopping and looking at the local mesh."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from typing import Any

import click

from outgate import environment
from outgate.cli.common import client, layout, namespace_option, say
from outgate.errors import HostError, UnavailableError, UsageError
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


@click.command("status")
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print as JSON.")
def status_command(output: str | None) -> None:
    """Show whether the local mesh is up, and what is wrong with it."""
    found: dict[str, Any] = client().call("status")
    if output:
        say(json.dumps(found, indent=2))
        return
    egress = found["egress"]
    say(f"control plane   up, pid {found['pid']}, version {found['version']}")
    say(
        f"egress Envoy    {egress['state']}, pid {egress['pid']}, restarted {egress['restarts']} times"
    )
    say(f"capture         {found['capture']}")
    say(f"services        {found['services']}")
    say(f"pods            {found['pods']}")
    for proxy in found["proxies"]:
        say(f"proxy           {proxy['node']}: {'synced' if proxy['synced'] else 'stale'}")
        for refused in proxy["refused"]:
            say(f"                refused: {refused.splitlines()[0]}")
    for problem in found["problems"]:
        say(f"problem         {problem}")


@click.command("explain")
@click.argument("pod")
@click.argument("url")
@namespace_option
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print as JSON.")
def explain_command(pod: str, url: str, namespace: str, output: str | None) -> None:
    """Say whether POD may call URL, and by which resource, listener, route and cluster."""
    name = pod.removeprefix("pod/")
    if not name:
        raise UsageError("explain needs the name of a pod")
    found = client().call("explain", name=name, namespace=namespace, url=url)
    if output:
        say(json.dumps(found, indent=2))
        return
    for key, value in found.items():
        say(f"{key + ':':<12}{value}")
