"""The control plane in a cluster; `outgate install` prints the manifests that run it."""

import asyncio
import json
import logging
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import click

from outgate import environment
from outgate.cli.common import warn
from outgate.cli.images import dns_option, image_options, images
from outgate.cli.policies import held, policy_option
from outgate.errors import OutgateError
from outgate.inject.options import Options
from outgate.model.ranges import parse_ranges
from outgate.model.workloads import Network

if TYPE_CHECKING:
    from outgate.kube.policies import Held


@click.command("controller")
@click.option(
    "--cluster-ranges",
    default="",
    help="Ranges of Services and pods: CIDRs with commas between; without it, those that the cluster names.",
)
@click.option("--ca-file", help="CA bundle in the egress Envoy's file system; without it, its own.")
@image_options
@policy_option
@dns_option
@click.option("--log-level", default="info", type=click.Choice(["debug", "info", "warning"]))
def controller_command(
    cluster_ranges: str, ca_file: str | None, log_level: str, dns_capture: bool, **flags: Any
) -> None:
    """Be the control plane of a cluster: follow its Services, and serve its proxies."""
    logging.basicConfig(
        level=log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("httpx2").setLevel("WARNING")
    inside = parse_ranges(cluster_ranges, "--cluster-ranges")
    chosen = images(flags, dns_capture=dns_capture)
    asyncio.run(_run(inside, ca_file, chosen, held(flags)))


async def _run(
    inside: tuple[Network, ...], ca_file: str | None, chosen: Options, policies: "Held"
) -> None:
    from outgate.kube import controller  # noqa: PLC0415 - most commands need no Kubernetes client
    from outgate.kube.client import connect  # noqa: PLC0415
    from outgate.kube.telling import Pod  # noqa: PLC0415

    name, uid = environment.pod()
    pod = Pod(name or socket.gethostname(), uid)
    options = controller.Options(
        environment.settings(), inside, ca_file or controller.CA_FILE, chosen, pod, policies
    )
    client = connect()
    made = await controller.make(client, options)
    loop = asyncio.get_running_loop()
    # An interrupt, from a terminal, ends it at once; Kubernetes gives it time to hand over.
    loop.add_signal_handler(signal.SIGTERM, made.stopping.set)
    try:
        await made.run()
    except* OutgateError as errors:
        # The first that went wrong took all else with it.
        raise errors.exceptions[0] from errors
    finally:
        await client.close()
    warn("stopped")


@click.command("controller-debug")
@click.argument("path")
def controller_debug_command(path: str) -> None:
    """Print what the controller in this container answers about itself, as JSON: status and others ask so.

    For example: kubectl exec -n outgate-system deployment/outgate-controller -- outgate controller-debug /status
    """
    from outgate.kube.inquiring import ask  # noqa: PLC0415 - most commands need no Kubernetes client

    click.echo(json.dumps(asyncio.run(ask(path))))
