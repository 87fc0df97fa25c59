"""Which mesh a command is about: the one on this machine, or the one in a cluster."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from outgate import environment
from outgate.cli.cluster import with_cluster
from outgate.cli.common import client
from outgate.errors import OutgateError, UnavailableError

if TYPE_CHECKING:
    from outgate.kube.client import Client

_Result = TypeVar("_Result")

LOCAL = "local mesh"
NAMESPACE = "default"
"""Of a local mesh, where none is named."""


def is_cluster(flags: Mapping[str, Any], *, need: bool = True) -> bool:
    """Whether a cluster is meant: it is named by a flag, or the local mesh is not up and a kubeconfig is there.

    UnavailableError where there is neither, unless what is wanted is there (not `need`) while a local mesh is down.
    """
    if flags["context"] or flags["kubeconfig"]:
        return True
    try:
        client().call("status")
    except UnavailableError as error:
        if _names_cluster():
            return True
        if not need:
            return False
        hint = f"{error.hint}; or name a cluster: --kubeconfig, KUBECONFIG"
        raise UnavailableError(error.message, hint=hint) from error
    return False


def _names_cluster() -> bool:
    from lightkube.config.kubeconfig import SERVICE_ACCOUNT  # noqa: PLC0415 - only here

    from outgate.kube import kubeconfig  # noqa: PLC0415

    places = (kubeconfig.DEFAULT, SERVICE_ACCOUNT)
    return bool(environment.kubeconfig()) or any(Path(p).expanduser().exists() for p in places)


def named(client: "Client") -> str:
    """Return what a cluster is called in output."""
    return f"cluster at {client.config.cluster.server}"


def in_cluster(flags: Mapping[str, Any], work: "Callable[[Client], Awaitable[_Result]]") -> _Result:
    """Do `with_cluster`, and say with each error of ours which cluster it is about."""

    async def placed(client: "Client") -> _Result:
        try:
            return await work(client)
        except OutgateError as error:
            message = f"{error.message}, in the {named(client)}"
            raise type(error)(message, hint=error.hint) from error

    return with_cluster(flags, placed)
