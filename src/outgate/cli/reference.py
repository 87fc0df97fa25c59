"""Makes the reference pages from the commands and settings themselves, so that they cannot differ from them."""

from dataclasses import fields
from pathlib import Path

import click

from outgate.cli import istiopages, kindpages
from outgate.cli.main import COMMANDS, cli
from outgate.resources.native import egress_policy, external_service
from outgate.settings import PREFIX, Settings

NOTE = "<!-- Made by `make docs`; changes here are lost. -->"


def commands() -> str:
    """Return docs/commands.md."""
    parts = ["# Commands", "", NOTE, ""]
    parts += [
        "Exit status: 0 done, 1 failed, 2 used wrongly. Errors go to standard error, a line each.",
        "",
    ]
    context = cli.make_context("outgate", ["up"], resilient_parsing=True)
    for name in sorted(COMMANDS):
        command = cli.get_command(context, name)
        if command is not None:
            parts += _page(command, context, name)
    return "\n".join(parts)


def _page(command: click.Command, parent: click.Context, name: str) -> list[str]:
    context = click.Context(command, info_name=name, parent=parent, terminal_width=100)
    parts = [f"## {context.command_path}", "", "```", command.get_help(context), "```", ""]
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            if found is not None:
                parts += _page(found, context, inner)
    return parts


def settings() -> str:
    """Return docs/settings.md."""
    parts = ["# Settings", "", NOTE, ""]
    parts += [
        "Each is an environment variable, read when a command starts; an unknown one is an error. In a cluster,",
        "`outgate install --set NAME=VALUE` sets those that have an effect there, and refuses the others.",
        "",
    ]
    parts += ["| variable | default | in a cluster | meaning |", "|---|---|---|---|"]
    for each in fields(Settings):
        default = ",".join(each.default) if isinstance(each.default, tuple) else each.default
        shown = "" if default in (None, "") else f"`{default}`"
        heeded = each.metadata["cluster"]
        where = f"`install {heeded}`" if isinstance(heeded, str) else "yes" if heeded else ""
        name, doc = f"`{PREFIX}{each.name.upper()}`", each.metadata["doc"]
        parts.append(f"| {name} | {shown} | {where} | {doc} |")
    return "\n".join([*parts, ""])


def pages(folder: Path) -> dict[Path, str]:
    """Return each page's file and content."""
    return {
        folder / "commands.md": commands(),
        folder / "settings.md": settings(),
        folder / "istio-fields.md": istiopages.page(NOTE),
        folder / "externalservice.md": kindpages.page(external_service.KIND, NOTE, _BESIDE),
        folder / "egresspolicy.md": kindpages.page(egress_policy.KIND, NOTE, _BESIDE),
    }


_BESIDE = "How to use it: [External services](external-services.md)."


def write(folder: Path) -> None:
    """Write them."""
    for path, text in pages(folder).items():
        path.write_text(text, encoding="utf-8")
