"""The flag about network policies, which `outgate install` hands to the controller."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from outgate.kube.policies import Held


def policy_option(function: Callable[..., None]) -> Callable[..., None]:
    """Add the flag."""
    text = (
        "What captured pods may reach besides DNS and the egress, in network policies that a plugin enforces: "
        "the cluster, or with strict what other policies allow. Without a value: cluster."
    )
    option = click.option(
        "--network-policy",
        type=click.Choice(["none", "cluster", "strict"]),
        default="none",
        is_flag=False,
        flag_value="cluster",
        show_default=True,
        help=text,
    )
    return option(function)


def held(flags: Mapping[str, Any]) -> "Held":
    """Return what the flag says."""
    from outgate.kube.policies import Held  # noqa: PLC0415 - most commands need no Kubernetes

    return Held(flags["network_policy"])
