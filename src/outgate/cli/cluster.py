"""What the commands that look at a cluster share: flags that say which one, and one clear error where there is none."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from outgate.errors import OutgateError, UnavailableError, UsageError

if TYPE_CHECKING:
    from outgate.kube.client import Client

_Result = TypeVar("_Result")


def cluster_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add `--kubeconfig` and `--context`; they arrive as `kubeconfig` and `context`, empty where not given."""
    for flag, text in (
        ("--context", "Context of the kubeconfig; without it, the current one."),
        ("--kubeconfig", "Path of the kubeconfig; without it KUBECONFIG, or ~/.kube/config."),
    ):
        function = click.option(flag, default="", help=text)(function)
    return function


def with_cluster(
    flags: Mapping[str, Any], work: "Callable[[Client], Awaitable[_Result]]"
) -> _Result:
    """Run `work` with a client for the cluster that the flags name; what the API server refuses is an OutgateError."""
    return asyncio.run(_run(flags["kubeconfig"], flags["context"], work))


async def _run(
    kubeconfig: str, context: str, work: "Callable[[Client], Awaitable[_Result]]"
) -> _Result:
    from outgate.kube import client as api  # noqa: PLC0415 - most commands need no Kubernetes client

    client = api.connect(kubeconfig, context)
    try:
        return await work(client)
    except (*api.TROUBLE, api.ConfigError) as error:
        raise explained(client, error) from error
    finally:
        await client.close()


def explained(client: "Client", error: BaseException) -> OutgateError:
    """Return what a call to the API server raised, as a user is to see it."""
    from outgate.kube import client as api  # noqa: PLC0415

    server = client.config.cluster.server
    if isinstance(error, api.ConfigError):
        return UsageError(f"cannot log in to the cluster at {server}: {error}")
    match api.code(error):
        case 0:
            said = str(error) or type(error).__name__
            hint = "is it up, and is this the right kubeconfig and context?"
            return UnavailableError(f"cannot reach the cluster at {server}: {said}", hint=hint)
        case 401:
            hint = "log in anew, or see the user in the kubeconfig"
            return UnavailableError(f"the cluster at {server} does not know you", hint=hint)
        case _:
            return UnavailableError(f"the cluster at {server} refused: {error}")
