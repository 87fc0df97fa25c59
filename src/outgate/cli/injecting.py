"""Adding capture to the workloads in manifests, with the flags of Istio 0.1's kube-inject."""

from pathlib import Path
from typing import Any

import click

from outgate import __version__
from outgate.cli import files
from outgate.cli.common import warn
from outgate.cli.images import dns_option, image_options, images
from outgate.errors import UsageError
from outgate.inject import documents, options
from outgate.inject.options import Sidecar
from outgate.model.ranges import parse_ranges

_WITHOUT_EFFECT = {
    "meshconfig": "--meshConfig has no effect: a sidecar gets its configuration from the control plane",
    "coredump": "--coreDump has no effect: the sidecar's file system is read-only",
}


@click.command("kube-inject")
@click.option(
    "-f",
    "--filename",
    "names",
    multiple=True,
    required=True,
    help="Manifest: a file, a folder, or - for standard input. May be repeated.",
)
@click.option("-o", "--output", help="File for the result; without it, standard output.")
@image_options
@dns_option
@click.option(
    "--includeIPRanges",
    "--include-ip-ranges",
    "includeipranges",
    default="",
    help="The only ranges to capture: CIDRs with commas between; without it, everything.",
)
@click.option("--sidecarProxyUID", default=options.PROXY_UID, show_default=True)
@click.option(
    "--sidecar",
    type=click.Choice([each.value for each in Sidecar]),
    default=Sidecar.NATIVE.value,
    show_default=True,
    help="native needs Kubernetes 1.29.",
)
@click.option("--xds-address", default=options.XDS_ADDRESS, show_default=True)
@click.option(
    "--verbosity", default=2, show_default=True, help="Of the proxy's log, 0 (errors) to 4 (trace)."
)
@click.option("--setVersionString", default=__version__, help="What the status annotation says.")
@click.option("--meshConfig", help="Without effect; accepted as in Istio 0.1.")
@click.option("--coreDump", is_flag=False, flag_value="true", help="Without effect, as above.")
def kube_inject_command(names: tuple[str, ...], output: str | None, **flags: Any) -> None:
    """Add capture to the workloads in a manifest; what it does not change keeps every byte.

    For example: kubectl apply -f <(outgate kube-inject -f samples/apps/sleep/sleep.yaml)
    """
    chosen = images(
        flags,
        version=flags["setversionstring"],
        sidecar=Sidecar(flags["sidecar"]),
        proxy_uid=flags["sidecarproxyuid"],
        dns_capture=flags["dns_capture"],
        log_level=options.log_level(flags["verbosity"]),
        include=parse_ranges(flags["includeipranges"], "--includeIPRanges"),
        xds_address=flags["xds_address"],
    )
    for flag, message in _WITHOUT_EFFECT.items():
        if flags[flag] not in (None, "false"):
            warn(message)
    results = [
        documents.inject(data.decode("utf-8", errors="surrogateescape"), name, chosen)
        for name, data in files.contents(names)
    ]
    for note in (each for result in results for each in result.notes):
        warn(note)
    _write(documents.joined([result.text for result in results]), output)


def _write(text: str, output: str | None) -> None:
    data = text.encode("utf-8", errors="surrogateescape")
    if output is None or output == "-":
        click.echo(data, nl=False)
        return
    try:
        Path(output).write_bytes(data)
    except OSError as error:
        raise UsageError(f"-o {output}: {error.strerror}") from error
