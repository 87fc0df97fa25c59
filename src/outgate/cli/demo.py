"""The whole task on this machine, with what was expected and what was seen."""

import sys

import click

from outgate.cli.common import say


@click.command("demo")
@click.option(
    "--internet",
    is_flag=True,
    help="Call the real hosts instead of a small internet of the demo's own.",
)
def demo_command(internet: bool) -> None:
    """Run the whole task on this machine, printing each command and its result."""
    from outgate.demo.running import run  # noqa: PLC0415 - needs the packages of the extra "demo"

    outcomes = run(say, internet=internet)
    say("")
    width = max(len(each.step.title) for each in outcomes)
    expected = max(len(each.step.expected) for each in outcomes)
    say(f"{'step':<{width}}   {'expected':<{expected}}   seen")
    for each in outcomes:
        seen = (
            "as expected"
            if each.is_as_expected
            else f"exit status {each.result.status}, something else"
        )
        say(f"{each.step.title:<{width}}   {each.step.expected:<{expected}}   {seen}")
    if not outcomes or not all(each.is_as_expected for each in outcomes):
        sys.exit(1)
