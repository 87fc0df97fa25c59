"""Moving over from Istio: its resources as ExternalServices that do the same."""

import json
import sys
from collections.abc import Callable

import click

from outgate.cli import files
from outgate.cli.common import namespace_option, say, warn
from outgate.resources.writing import to_yaml


def _file_option(function: Callable[..., None]) -> Callable[..., None]:
    text = "Manifest: a file, a folder, or - for standard input. May be repeated."
    return click.option("-f", "--filename", "names", multiple=True, help=text)(function)


@click.command("convert")
@_file_option
@namespace_option
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml")
def convert_command(names: tuple[str, ...], namespace: str, output: str) -> None:
    """Print Istio's resources as ExternalServices that do the same.

    A ServiceEntry comes out with what all DestinationRules and VirtualServices that were given say of its hosts.
    What is lost is said on standard error; one of which anything cannot be said is not printed, and the exit status
    is 1.

    For example: outgate convert -f istio/ > external-services.yaml
    """
    from outgate.model.converting import convert  # noqa: PLC0415 - most commands need it not

    resources, problems = files.resources(files.documents(names), namespace)
    converted = convert(resources)
    if output == "json":
        say(
            json.dumps({"apiVersion": "v1", "kind": "List", "items": converted.documents}, indent=2)
        )
    else:
        say("---\n".join(to_yaml(each) for each in converted.documents).rstrip("\n"))
    everything = (*problems, *converted.problems)
    for problem in everything:
        warn(str(problem))
    if files.has_errors(everything):
        sys.exit(1)
