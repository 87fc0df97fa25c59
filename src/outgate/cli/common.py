"""What several groups of commands share."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from outgate import environment
from outgate.errors import UsageError
from outgate.host.client import Client
from outgate.host.plan import Layout

if TYPE_CHECKING:
    from outgate.host.store import Store


def layout() -> Layout:
    """Return the paths of the mesh that the settings name."""
    return Layout(environment.settings())


def client() -> Client:
    """Return the way to its daemon."""
    return Client(layout())


def store() -> "Store":
    """Return its store."""
    from outgate.host.store import Store  # noqa: PLC0415 - reads YAML, which most commands need not

    return Store(layout().manifests)


def say(text: str) -> None:
    """Print a line of the command's result."""
    click.echo(text)


def warn(text: str) -> None:
    """Print a line that is not part of the result."""
    click.echo(text, err=True)


def pairs(flag: str, values: tuple[str, ...]) -> dict[str, str]:
    """Read `key=value`, comma-separated or repeated; UsageError names the flag."""
    found: dict[str, str] = {}
    for part in ",".join(values).split(","):
        if not part:
            continue
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise UsageError(f"{flag} {part!r}: expected KEY=VALUE")
        found[key] = value.removeprefix("=") if flag == "-l" else value
    return found


def is_terminal() -> bool:
    """Whether a person reads the output."""
    return sys.stdout.isatty()


def namespace_option(function: Callable[..., None]) -> Callable[..., None]:
    """Add kubectl's flag for the namespace."""
    text = "Namespace."
    return click.option("-n", "--namespace", default="default", show_default=True, help=text)(
        function
    )
