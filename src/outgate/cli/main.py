"""The commands and where each is; a module is imported only when its command is used."""

import importlib
from typing import Any

import click

from outgate import __version__

COMMANDS = {
    "analyze": "translating",
    "apply": "resources",
    "capture-rules": "capturing",
    "check": "checking",
    "controller": "controlling",
    "controller-debug": "controlling",
    "convert": "converting",
    "create": "resources",
    "delete": "resources",
    "demo": "demo",
    "describe": "listing",
    "down": "mesh",
    "exec": "pods",
    "explain": "observing",
    "get": "listing",
    "install": "installing",
    "kube-inject": "injecting",
    "logs": "logs",
    "proxy-config": "observing",
    "run": "pods",
    "status": "observing",
    "translate": "translating",
    "up": "mesh",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"outgate.cli.{COMMANDS[cmd_name]}")
        found: Any = getattr(module, cmd_name.replace("-", "_") + "_command")
        return found if isinstance(found, click.Command) else None


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="outgate")
def cli() -> None:
    """Egress control for services: what is not declared cannot be called."""
