"""Showing what pods said, and what they called."""

import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from outgate.cli import places
from outgate.cli.common import layout
from outgate.cli.observing import place_options
from outgate.errors import UsageError
from outgate.xds.log_lines import Wanted

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


@click.command("logs")
@click.argument("pod", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on as more is written.")
@click.option("--tail", type=int, default=-1, help="Only so many lines from the end.")
@click.option("--since", default="", help="With --egress: only calls since then, as 5s, 2m or 3h.")
@click.option(
    "--egress", is_flag=True, help="What pods called: one JSON line a call, allowed or denied."
)
@place_options
def logs_command(pod: str | None, egress: bool, since: str, **flags: Any) -> None:
    """Show the output of a pod, or with --egress the calls of one, of a namespace's, or of all."""
    if not egress and pod is None:
        raise UsageError("logs needs the name of a pod, or --egress")
    if since and not egress:
        raise UsageError("--since needs --egress")
    name = pod.removeprefix("pods/").removeprefix("pod/") if pod else ""
    seconds = _seconds(since)
    if places.is_cluster(flags, need=False):
        if not egress:
            hint = f"kubectl logs {name}; or logs --egress {name}: what it called"
            raise UsageError("in a cluster logs shows what pods called", hint=hint)
        _print(places.in_cluster(flags, lambda api: _cluster(api, name, seconds, flags)))
    else:
        _print(_local(name, seconds, flags, egress=egress))


def _seconds(text: str) -> int | None:
    """Read a duration as kubectl has it."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise UsageError(f"--since {text!r} is not a duration", hint="such as 30s, 5m or 1h30m")
    hours, minutes, seconds = (int(each or 0) for each in match.groups())
    return hours * 3600 + minutes * 60 + seconds if text else None


def _wanted(name: str, namespace: str, seconds: int | None) -> Wanted:
    if seconds is None:
        return Wanted(name, namespace)
    since = datetime.now(UTC) - timedelta(seconds=seconds)
    return Wanted(name, namespace, f"{since:%Y-%m-%dT%H:%M:%S}.{since.microsecond // 1000:03d}Z")


def _local(name: str, seconds: int | None, flags: dict[str, Any], *, egress: bool) -> Iterable[str]:
    from outgate.host import logs  # noqa: PLC0415 - not for a cluster

    tail, follow, namespace = flags["tail"], flags["follow"], flags["namespace"]
    if name:
        namespace = namespace or places.NAMESPACE
    if egress:
        wanted = _wanted(name, namespace, seconds)
        return logs.egress(layout(), wanted, tail=tail, follow=follow)
    return logs.pod(layout(), name, namespace, tail=tail, follow=follow)


async def _cluster(api: Any, name: str, seconds: int | None, flags: dict[str, Any]) -> list[str]:
    from outgate.kube import logs  # noqa: PLC0415 - not for a local mesh

    namespace = flags["namespace"] or (api.namespace if name else "")
    part = logs.Part(_wanted(name, namespace, seconds), seconds, flags["tail"])
    if flags["follow"]:
        await logs.follow(api, part, _show)
        return []
    return await logs.past(api, part)


def _show(line: str) -> None:
    try:
        click.echo(line, nl=False)
    except BrokenPipeError:
        # Not one of the cluster's troubles: whoever read this has seen enough.
        sys.exit(141)


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line, nl=False)
