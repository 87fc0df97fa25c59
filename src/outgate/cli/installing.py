"""Printing the manifests that run Outgate in a cluster, or a Helm chart of the same, and taking it all away again."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from outgate.cli.choices import made
from outgate.cli.cluster import cluster_options, with_cluster
from outgate.cli.common import say
from outgate.cli.images import dns_option, image_options
from outgate.cli.policies import policy_option
from outgate.cli.uninstalling import uninstall
from outgate.errors import HostError, UsageError
from outgate.settings import Settings

_CONNECTIONS = click.IntRange(10, 10_000_000)


@click.command("install")
@image_options
@dns_option
@click.option(
    "--replicas", type=click.IntRange(1), default=2, show_default=True, help="Controllers."
)
@click.option(
    "--egress-replicas", type=click.IntRange(1), default=2, show_default=True, help="Egress Envoys."
)
@click.option(
    "--egress-max-connections",
    type=_CONNECTIONS,
    default=Settings().max_connections,
    show_default=True,
    help="Connections that workloads may have open to one egress Envoy.",
)
@click.option(
    "--trust-domain",
    default=Settings().trust_domain,
    show_default=True,
    help="Trust domain of SPIFFE identities, and the DNS suffix of Services.",
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
@policy_option
@click.option(
    "--set",
    "settings",
    multiple=True,
    help="A setting of the controller, as NAME=VALUE: see docs/settings.md. May be repeated.",
)
@click.option(
    "--helm",
    metavar="DIR",
    help="Write a Helm chart there instead; the other flags become its defaults.",
)
@click.option("--uninstall", is_flag=True, help="Delete all of Outgate from the cluster instead.")
@click.option("--dry-run", is_flag=True, help="With --uninstall: only list what would be deleted.")
@cluster_options
def install_command(helm: str | None, **flags: Any) -> None:
    """Print what runs Outgate in a cluster: outgate install | kubectl apply -f -.

    Only --uninstall changes a cluster by itself: the one that --kubeconfig and --context name.
    """
    if flags["uninstall"]:
        with_cluster(flags, lambda client: uninstall(client, dry_run=flags["dry_run"]))
        return
    for name in ("dry_run", "kubeconfig", "context"):
        if flags[name]:
            raise UsageError(f"--{name.replace('_', '-')} is of use with --uninstall only")
    from outgate.kube.manifests import manifests  # noqa: PLC0415 - only here
    from outgate.resources.writing import to_yaml  # noqa: PLC0415

    flags["settings"] = _settings(flags["settings"])
    flags["ca_bundle"] = _bundle(flags.pop("ca_file"))
    install = made(flags)
    if helm is not None:
        _write_chart(Path(helm), flags)
        return
    texts = [to_yaml(each) for each in manifests(install)]
    click.echo("---\n".join(texts), nl=False)


def _settings(words: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Read settings, whose values may have commas; in order, so that a chart's are the same."""
    chosen: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"--set {word!r}: expected NAME=VALUE")
        chosen[name] = value
    Settings.load_for_cluster(chosen)
    return tuple(sorted(chosen.items()))


def _write_chart(folder: Path, flags: Mapping[str, Any]) -> None:
    from outgate.cli.charting import chart  # noqa: PLC0415 - only here

    try:
        for name, text in chart(install_command.params, flags).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HostError(f"--helm {folder}: {error.strerror}: {error.filename}") from error
    say(f"the chart is in {folder}: helm install outgate {folder}")


def _bundle(name: str | None) -> str:
    if name is None:
        return ""
    from cryptography import x509  # noqa: PLC0415 - only here

    try:
        data = Path(name).read_bytes()
        with warnings.catch_warnings():
            # Public bundles have odd certificates, which are Envoy's to judge.
            warnings.simplefilter("ignore")
            x509.load_pem_x509_certificates(data)
        return data.decode("ascii")
    except (OSError, ValueError) as error:
        raise UsageError(f"--ca-file: {name} is no CA bundle: {error}", hint="PEM") from error
