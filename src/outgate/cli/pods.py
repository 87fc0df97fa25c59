"""Running commands in captured pods."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from outgate import environment
from outgate.cli.common import client, namespace_option, pairs, say
from outgate.errors import HostError, NotFoundError
from outgate.host import entering
from outgate.host.processes import start_time

_COMMAND = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command("run", context_settings=_COMMAND)
@click.option("-d", "--detach", is_flag=True, help="Run in the background.")
@click.option("--name", help="Name of the pod; made from the command if not given.")
@click.option("-l", "--labels", multiple=True, help="Labels, as KEY=VALUE[,...].")
@namespace_option
@click.option(
    "--service-account", default="default", show_default=True, help="Part of its identity."
)
@click.option(
    "--includeIPRanges",
    "--include-ip-ranges",
    "include",
    default="",
    help="Capture only these CIDRs.",
)
@click.option("--capture", type=click.Choice(["node", "sidecar"]), help="How it is captured.")
@click.option(
    "--user", help="Run as this user (name or uid); by default as the one who called sudo."
)
@click.option("-f", "--filename", "names", multiple=True, help="Apply these manifests first.")
@click.argument("command", nargs=-1, required=True)
def run_command(command: tuple[str, ...], **options: Any) -> None:
    """Run COMMAND captured: it reaches nothing that is not declared."""
    from outgate.model.ranges import parse_ranges  # noqa: PLC0415 - only here

    include = [str(each) for each in parse_ranges(options["include"], "--includeIPRanges")]
    user = entering.account(options["user"])
    if options["names"]:
        from outgate.cli.resources import _write  # noqa: PLC0415

        _write(options["names"], options["namespace"], create=False)
    namespace = options["namespace"]
    name = options["name"] or entering.pod_name(command[0])
    request = {
        "name": name,
        "namespace": namespace,
        "labels": pairs("--labels", options["labels"]),
        "service_account": options["service_account"],
        "include": include,
        "capture": options["capture"],
        "command": list(command),
    }
    if not options["detach"]:
        request["owner"] = (os.getpid(), start_time(os.getpid()))
    made = client().call("create", **request)
    if options["detach"]:
        start = {
            "command": list(command),
            "directory": str(Path.cwd()),
            "environment": environment.for_workloads(),
            "user": user,
        }
        client().call("start", name=name, namespace=namespace, **start)
        say(f"pod/{name} created")
        return
    try:
        status = entering.run(made["init"], list(command), user)
    finally:
        # It is gone soon enough; a new pod of this name waits for that.
        client().call("delete", name=name, namespace=namespace, wait=False)
    sys.exit(status)


@click.command("exec")
@click.argument("pod")
@click.option("-c", "--container", help="Name of the container; a pod here has one.")
@click.option("-i", "--stdin", is_flag=True, help="Pass standard input on.")
@click.option("-t", "--tty", is_flag=True, help="Standard input is a terminal.")
@namespace_option
@click.argument("command", nargs=-1, required=True)
def exec_command(
    pod: str,
    container: str | None,
    stdin: bool,
    tty: bool,
    namespace: str,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND in a pod that runs already."""
    del container
    name = pod.removeprefix("pod/")
    init = _init(name, namespace)
    sys.exit(entering.run(init, list(command), None, stdin=stdin, tty=tty and sys.stdin.isatty()))


def _init(name: str, namespace: str) -> int:
    for each in client().call("pods"):
        metadata = each["manifest"]["metadata"]
        if (metadata["name"], metadata["namespace"]) == (name, namespace):
            if each["init"] is None:
                raise HostError(f"pod {name} has not started yet")
            return int(each["init"])
    raise NotFoundError(f'pods "{name}" not found in namespace "{namespace}"')
