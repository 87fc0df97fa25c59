"""Looking at a mesh, on this machine or in a cluster: what is up, what would become of a call, what a proxy is told."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from outgate.cli import places
from outgate.cli.cluster import cluster_options
from outgate.cli.common import client, say
from outgate.cli.tables import age, table
from outgate.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from outgate.kube.client import Client

Item = Mapping[str, Any]


def place_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the flags that say which mesh is meant, and which namespace of it."""
    text = "Namespace; without it that of the context, or default."
    function = click.option("-n", "--namespace", default="", help=text)(function)
    return cluster_options(function)


@click.command("status")
@click.option("-A", "--all-namespaces", is_flag=True, help="Pods of all namespaces, as without -n.")
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print as JSON.")
@place_options
def status_command(output: str | None, all_namespaces: bool, **flags: Any) -> None:
    """Show what is up, and what is wrong: on this machine, or in a cluster.

    In a cluster: controllers, egress Envoys and sidecars, of all namespaces unless -n names one. The exit status is 0
    if that can be told, whatever it is.
    """
    if not places.is_cluster(flags):
        found = {"place": places.LOCAL, **client().call("status")}
        say(json.dumps(found, indent=2)) if output else _local(found)
        return
    if all_namespaces:
        flags["namespace"] = ""
    found = places.in_cluster(flags, lambda api: _overview(api, flags["namespace"]))
    say(json.dumps(found, indent=2)) if output else _cluster(found)


def _local(found: Item) -> None:
    egress = found["egress"]
    say(f"control plane   up, pid {found['pid']}, version {found['version']}")
    say(
        f"egress Envoy    {egress['state']}, pid {egress['pid']}, restarted {egress['restarts']} times"
    )
    say(f"capture         {found['capture']}")
    say(f"services        {found['services']}")
    say(f"pods            {found['pods']}")
    for proxy in found["proxies"]:
        say(f"proxy           {proxy['node']}: {'synced' if proxy['synced'] else 'stale'}")
        for refused in proxy["refused"]:
            say(f"                refused: {refused.splitlines()[0]}")
    for problem in found["problems"]:
        say(f"problem         {problem}")


async def _overview(api: "Client", namespace: str) -> dict[str, Any]:
    from outgate.kube import asking, naming  # noqa: PLC0415 - not for a local mesh
    from outgate.kube.client import ALL  # noqa: PLC0415
    from outgate.kube.overview import overview  # noqa: PLC0415

    controllers = await asking.ask_all(api, "/status")
    egresses = await asking.ours(api, naming.EGRESS)
    pods = await asking.pods(api, namespace or ALL)
    return {"place": places.named(api), **overview(controllers, egresses, pods)}


_PROXY = ("CONTROLLER", "ENVOY", "STATE", "LAST NACK")


def _cluster(found: Item) -> None:
    say(found["place"])
    titles = ("CONTROLLER", "VERSION", "READY", "LEADER", "SERVICES", "PROBLEMS", "PROXIES")
    parts = ("pod", "version", "ready", "leads", "services", "problems", "proxies")
    answered = [each for each in found["controllers"] if "error" not in each]
    say("")
    table([titles, *([_word(each[part]) for part in parts] for each in answered)])
    for each in found["controllers"]:
        if "error" in each:
            say(f"{each['pod']}: {each['error']}")
    say("")
    table([("EGRESS", *_PROXY), *([each["pod"], *_proxy(each)] for each in found["egresses"])])
    titles = ("NAMESPACE", "SIDECAR", "INJECTED BY", *_PROXY)
    rows = [
        [each["namespace"], each["pod"], each["injected"], *_proxy(each)]
        for each in found["sidecars"]
    ]
    say("")
    if rows:
        table([titles, *rows])
    else:
        say("No captured pods.")
    if found["problems"]:
        say("")
    for problem in found["problems"]:
        say(f"problem: {problem}")


def _word(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _proxy(proxy: Item) -> list[str]:
    nack = proxy["last_nack"]
    said = (
        f"{age(nack['seconds_ago'])} ago: {nack['type']}: {_line(nack['message'])}" if nack else ""
    )
    return [proxy["controller"], proxy["envoy"], proxy["state"], said]


def _line(text: str) -> str:
    return " ".join(text.split())[:200]


@click.command("explain")
@click.argument("pod")
@click.argument("url")
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print as JSON.")
@place_options
def explain_command(pod: str, url: str, output: str | None, **flags: Any) -> None:
    """Say whether POD may call URL, and by which resource, listener, route and cluster.

    In a cluster also whether the call is captured at all. What a network policy would do to it is not known.
    """
    name = _pod_name(pod, "explain")
    if places.is_cluster(flags):
        found = places.in_cluster(flags, lambda api: _explain(api, name, flags["namespace"], url))
    else:
        namespace = flags["namespace"] or places.NAMESPACE
        answer = client().call("explain", name=name, namespace=namespace, url=url)
        found = {"place": places.LOCAL, **answer}
    if output:
        say(json.dumps(found, indent=2))
        return
    for key, value in found.items():
        say(f"{key + ':':<12}{value}")


def _pod_name(pod: str, command: str) -> str:
    name = pod.removeprefix("pods/").removeprefix("pod/")
    if not name or "/" in name:
        raise UsageError(f"{command} needs the name of a pod")
    return name


async def _explain(api: "Client", name: str, namespace: str, url: str) -> dict[str, Any]:
    from outgate.kube import asking  # noqa: PLC0415 - not for a local mesh
    from outgate.kube.explaining import Known, explain  # noqa: PLC0415
    from outgate.xds import explaining  # noqa: PLC0415

    called = explaining.target(url)
    place = namespace or api.namespace
    pod = await asking.pod(api, name, place)
    said = await asking.ask_any(api, "/explain", namespace=place, pod=name, url=url)
    service = None
    if "resource" not in said["answer"]:
        service = await asking.service(api, explaining.named(called.host, place, said["domain"]))
    known = Known(said["answer"], tuple(said["inside"]), said["domain"], service)
    return {"place": places.named(api), "url": url, **explain(pod, called, known)}


_KINDS = {
    "all": "",
    "clusters": "Cluster",
    "listeners": "Listener",
    "routes": "ScopedRouteConfiguration",
    "secrets": "Secret",
}


@click.command("proxy-config")
@click.argument("pod")
@click.argument("kind", type=click.Choice(list(_KINDS)), default="all")
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), help="Print contents too.")
@place_options
def proxy_config_command(pod: str, kind: str, output: str | None, **flags: Any) -> None:
    """Show what the proxy of POD, a captured pod or an egress, is told, and what it made of each resource.

    Asks the controller that serves it. With -o the contents are shown as well, without private keys.
    """
    name = _pod_name(pod, "proxy-config")
    if not places.is_cluster(flags):
        hint = "outgate translate shows what a local mesh programs; or name one: --kubeconfig"
        raise UnavailableError("proxy-config looks at a cluster", hint=hint)
    contents = bool(output)
    found = places.in_cluster(
        flags, lambda api: _resources(api, name, flags["namespace"], contents=contents)
    )
    wanted = _KINDS[kind]
    found["resources"] = [each for each in found["resources"] if wanted in ("", each["type"])]
    if output == "json":
        say(json.dumps(found, indent=2))
    elif output == "yaml":
        from outgate.resources.writing import to_yaml  # noqa: PLC0415 - only here

        click.echo(to_yaml(found), nl=False)
    else:
        _print_resources(found["resources"])


def _print_resources(found: list[dict[str, Any]]) -> None:
    rows = [
        [each["type"], each["name"], each["version"], _with_words(each["state"], each["message"])]
        for each in found
    ]
    table([("TYPE", "NAME", "VERSION", "STATE"), *rows])


def _with_words(state: str, words: str) -> str:
    return f"{state}: {_line(words)}" if words else state


async def _resources(api: "Client", name: str, namespace: str, *, contents: bool) -> dict[str, Any]:
    from outgate.kube import asking  # noqa: PLC0415 - not for a local mesh

    pod = await asking.pod(api, name, namespace or api.namespace)
    node = asking.node(pod)
    wanted = {"node": node} | ({"contents": "1"} if contents else {})
    found = await asking.ask_any(api, "/resources", **wanted)
    return {"place": places.named(api), **found}
