"""Taking Outgate out of a cluster: outgate install --uninstall."""

from typing import TYPE_CHECKING

from outgate.cli.common import say, warn
from outgate.errors import UnavailableError

if TYPE_CHECKING:
    from outgate.kube.client import Client
    from outgate.kube.removing import Search


async def uninstall(client: "Client", *, dry_run: bool) -> None:
    """Delete all of Outgate, and say what that means for pods that are captured; nothing, if not all may be deleted."""
    from outgate.kube import removing  # noqa: PLC0415 - only here

    found = await removing.search(client)
    if reasons := await removing.refused(client, found.found):
        for reason in reasons:
            warn(f"error: {reason}")
        raise UnavailableError("nothing was deleted", hint="ask who administers the cluster")
    if dry_run:
        for each in found.found:
            say(f"{removing.line(each)} (server dry run)")
    else:
        await removing.remove(client, found.found, say)
    if not found.found and not found.kept:
        say("nothing of Outgate is in the cluster")
    for each in found.kept:
        warn(f"warning: {each} stays, as there are resources of that kind, which are yours")
        warn(f"warning: to delete them all with it: kubectl delete crd {each.name}")
    await _say_what_stays(client)
    _say_what_is_hidden(found)


async def _say_what_stays(client: "Client") -> None:
    from outgate.kube import plain, removing  # noqa: PLC0415 - only here
    from outgate.kube.captured import captured  # noqa: PLC0415

    if await removing.unlabelled_namespace(client):
        warn("warning: namespace outgate-system was not made by Outgate, and stays")
    try:
        pods = await captured(client)
    except plain.ApiError as error:
        warn(f"warning: cannot say which pods are captured: {error}")
        return
    if pods:
        text = ", ".join(f"{name} ({count})" for name, count in pods.items())
        warn(f"warning: pods are still captured, in namespaces {text}")
        warn("warning: all their calls to the outside fail until they are made anew")


def _say_what_is_hidden(found: "Search") -> None:
    from outgate.kube.manifests import Install, manifests  # noqa: PLC0415 - only here

    if not found.hidden:
        return
    names = ", ".join(each.plural for each in found.hidden)
    text = f"you may not list {names}"
    if {each["kind"] for each in manifests(Install())} & {each.kind for each in found.hidden}:
        raise UnavailableError(text, hint="what there is of these was not deleted")
    warn(f"warning: {text}: what an older version may have made of these was not looked for")
