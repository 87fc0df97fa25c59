"""Flags that say which images are used, the same for each command that has to know."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from outgate import __version__
from outgate.inject.options import Options, PullPolicy


def image_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the flags, with Istio 0.1's names."""
    policies = click.Choice([each.value for each in PullPolicy])
    policy = PullPolicy.IF_NOT_PRESENT.value
    for each in (
        click.option(
            "--imagePullPolicy", "pull_policy", type=policies, default=policy, show_default=True
        ),
        click.option(
            "--tag", default=__version__, show_default=True, help="Tag of Outgate's image."
        ),
        click.option("--hub", default="", help="Registry of the images, with its path."),
    ):
        function = each(function)
    return function


def dns_option(function: Callable[..., None]) -> Callable[..., None]:
    """Add the flag that says whether pods' DNS queries are captured."""
    text = "Capture DNS: declared names have addresses of their own, others do not exist. false leaves it alone."
    return click.option(
        "--dnsCapture", "dns_capture", type=bool, default=True, show_default=True, help=text
    )(function)


def images(flags: Mapping[str, Any], **others: Any) -> Options:
    """Return what the flags say; UsageError names the one that is wrong."""
    return Options(
        hub=flags["hub"].rstrip("/"),
        tag=flags["tag"],
        pull_policy=PullPolicy(flags["pull_policy"]),
        **others,
    )
