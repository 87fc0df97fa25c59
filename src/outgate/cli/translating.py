"""Looking at manifests without a mesh: what would be programmed, and what is wrong with them."""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

from outgate import environment
from outgate.cli import files
from outgate.cli.common import namespace_option, say, warn
from outgate.errors import UsageError
from outgate.model.ranges import parse_ranges
from outgate.model.workloads import Capture
from outgate.resources.kinds import Resources
from outgate.resources.manifests import Manifests
from outgate.resources.problems import Problem

STAGES = ("model", "xds", "firewall")


def _file_option(function: Callable[..., None]) -> Callable[..., None]:
    text = "Manifest: a file, a folder, or - for standard input. May be repeated."
    return click.option("-f", "--filename", "names", multiple=True, help=text)(function)


@click.command("translate")
@_file_option
@namespace_option
@click.option("--stage", type=click.Choice(STAGES), default="xds", show_default=True)
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml")
@click.option(
    "--format",
    "form",
    type=click.Choice(["nft", "iptables"]),
    default="nft",
    help="Of firewall rules.",
)
@click.option(
    "--capture", type=click.Choice(["node", "sidecar"]), default="node", show_default=True
)
@click.option(
    "--includeIPRanges",
    "--include-ip-ranges",
    "include",
    default="",
    help="The only ranges to capture.",
)
def translate_command(names: tuple[str, ...], namespace: str, **options: str) -> None:
    """Show what would be programmed, offline: the model, Envoy's resources or firewall rules.

    Listeners and rules are those of one workload, a pod named sleep with the label app=sleep.

    For example: outgate translate -f externalbin.yaml --stage model
    """
    from outgate.host import translating  # noqa: PLC0415 - imports all of Envoy's protobufs

    chosen = translating.Options(
        namespace,
        Capture(options["capture"]),
        parse_ranges(options["include"], "--includeIPRanges"),
        environment.settings(),
    )
    stage = options["stage"]
    # Firewall rules do not depend on resources.
    manifests = files.documents(names) if names or stage != "firewall" else Manifests((), ())
    documents, problems = files.valid(manifests, namespace)
    for problem in problems:
        warn(str(problem))
    if stage == "firewall":
        click.echo(translating.firewall(chosen, translating.Format(options["form"])), nl=False)
    else:
        make = translating.model if stage == "model" else translating.xds
        click.echo(translating.write(make(documents, chosen), options["output"]), nl=False)
    if files.has_errors(problems):
        sys.exit(1)


@click.command("analyze")
@_file_option
@namespace_option
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def analyze_command(names: tuple[str, ...], namespace: str, output: str) -> None:
    """Show every problem in manifests: file, line, field and a hint; exit status 1 if any is an error.

    For example: outgate analyze -f samples/
    """
    manifests = files.documents(names)
    resources, problems = files.resources(manifests, namespace)
    if not manifests.documents and not problems:
        raise UsageError("the manifests hold no resource")
    problems = (*problems, *_together(resources, namespace))
    if output == "json":
        say(json.dumps([_form(each) for each in problems], indent=2))
    else:
        for each in problems:
            say(str(each))
        if not problems:
            say(f"no problems found in {_count(len(manifests.documents))}")
    if files.has_errors(problems):
        sys.exit(1)


def _together(resources: Resources, namespace: str) -> tuple[Problem, ...]:
    """Return what is wrong with resources because of each other; of Services by themselves nothing can be."""
    if len(resources.accepted) == len(resources.services):
        return ()
    from outgate.host import translating  # noqa: PLC0415 - imports all of Envoy's protobufs

    options = translating.Options(namespace, settings=environment.settings())
    return translating.together(resources.accepted, options)


def _count(number: int) -> str:
    return "1 document" if number == 1 else f"{number} documents"


def _form(problem: Problem) -> Mapping[str, Any]:
    return {
        "file": problem.location.file,
        "line": problem.location.line,
        "severity": problem.severity.value,
        "resource": problem.resource,
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
    }
