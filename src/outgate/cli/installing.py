"""Printing the manifests that run Outgate in a cluster."""

from pathlib import Path
from typing import Any

import click

from outgate.cli.common import pairs
from outgate.cli.images import image_options, images
from outgate.errors import UsageError
from outgate.model.ranges import parse_ranges
from outgate.settings import PREFIX, Settings


@click.command("install")
@image_options
@click.option(
    "--replicas", type=click.IntRange(1), default=2, show_default=True, help="Controllers."
)
@click.option(
    "--egress-replicas", type=click.IntRange(1), default=2, show_default=True, help="Egress Envoys."
)
@click.option(
    "--cluster-ranges",
    default="",
    help="Ranges of Services and pods: CIDRs with commas between; without it, those that the cluster names.",
)
@click.option(
    "--ca-file",
    help="CA bundle (PEM) that upstream certificates must chain to; else the public ones.",
)
@click.option(
    "--set", "settings", multiple=True, help="A setting, as NAME=VALUE: see docs/settings.md."
)
def install_command(**flags: Any) -> None:
    """Print what runs Outgate in a cluster: outgate install | kubectl apply -f -."""
    from outgate.kube.manifests import Install, manifests  # noqa: PLC0415 - only here
    from outgate.resources.writing import to_yaml  # noqa: PLC0415

    chosen = pairs("--set", flags["settings"])
    Settings.load(chosen)
    for name in chosen:
        if not name.startswith(PREFIX):
            raise UsageError(
                f"--set {name}: expected {PREFIX}...", hint="docs/settings.md lists them"
            )
    ranges = parse_ranges(flags["cluster_ranges"], "--cluster-ranges")
    install = Install(
        images(flags),
        flags["replicas"],
        flags["egress_replicas"],
        ",".join(str(each) for each in ranges),
        _bundle(flags["ca_file"]),
        tuple(chosen.items()),
    )
    texts = [to_yaml(each) for each in manifests(install)]
    click.echo("---\n".join(texts), nl=False)


def _bundle(name: str | None) -> str:
    if name is None:
        return ""
    from cryptography import x509  # noqa: PLC0415 - only here

    try:
        data = Path(name).read_bytes()
        x509.load_pem_x509_certificates(data)
        return data.decode("ascii")
    except (OSError, ValueError) as error:
        raise UsageError(f"--ca-file: {name} is no CA bundle: {error}", hint="PEM") from error
