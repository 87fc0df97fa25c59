"""Whether Outgate can be installed in a cluster, and whether what is installed works."""

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

import click

from outgate.cli.cluster import cluster_options, with_cluster
from outgate.cli.common import say
from outgate.cli.images import image_options, images
from outgate.errors import UsageError

if TYPE_CHECKING:
    from outgate.inject.options import Options
    from outgate.kube.checks.findings import Finding
    from outgate.kube.client import Client


@click.command("check")
@click.option(
    "--probe",
    is_flag=True,
    help="Also start a pod on each kind of node, in a namespace that is removed again, and capture it.",
)
@image_options
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print as JSON.")
@cluster_options
def check_command(probe: bool, output: str | None, **flags: Any) -> None:
    """See whether Outgate can be installed in a cluster, and whether what is installed works.

    Nothing is changed. Exit status: 1 if there is an error; a warning is what may be wrong, or cannot be known. --hub,
    --tag and --imagePullPolicy are for --probe.
    """
    chosen = images(flags)
    context = click.get_current_context()
    if not probe and any(_is_given(context, each) for each in ("hub", "tag", "pull_policy")):
        raise UsageError("--hub, --tag and --imagePullPolicy are of use with --probe only")

    async def work(client: "Client") -> "list[Finding]":
        return await _check(client, chosen if probe else None, show=output is None)

    found = with_cluster(flags, work)
    if output:
        say(json.dumps([dataclasses.asdict(each) for each in found], indent=2))
    if any(each.level == "error" for each in found):
        sys.exit(1)


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


async def _check(client: "Client", images: "Options | None", *, show: bool) -> "list[Finding]":
    from outgate.kube.checks.probing import probe  # noqa: PLC0415 - only here
    from outgate.kube.checks.running import Checks, guarded  # noqa: PLC0415

    found: list[Finding] = []

    def take(each: "Finding") -> None:
        found.append(each)
        if show:
            say(str(each))

    async for each in Checks(client).run():
        take(each)
    if images is not None:
        for each in await guarded("probe", lambda: probe(client, images)):
            take(each)
    return found
