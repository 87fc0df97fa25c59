"""What the flags of `outgate install` choose: for manifests, and for the chart that is made of the same."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from outgate.cli.images import images
from outgate.cli.policies import held
from outgate.errors import UsageError
from outgate.model.ranges import parse_ranges
from outgate.settings import PREFIX, Settings

if TYPE_CHECKING:
    from outgate.kube.manifests import Install


def made(flags: Mapping[str, Any]) -> "Install":
    """Return what flags choose: `ca_bundle` is the file's text, `settings` are pairs. UsageError names the flag."""
    from outgate.kube.manifests import Install  # noqa: PLC0415 - only here

    ranges = parse_ranges(flags["cluster_ranges"], "--cluster-ranges")
    return Install(
        images(flags, dns_capture=flags["dns_capture"]),
        replicas=flags["replicas"],
        egress_replicas=flags["egress_replicas"],
        egress_max_connections=flags["egress_max_connections"],
        trust_domain=_domain(flags["trust_domain"]),
        ranges=",".join(str(each) for each in ranges),
        ca_bundle=flags["ca_bundle"],
        settings=flags["settings"],
        held=held(flags),
    )


def _domain(given: str) -> str:
    name = f"{PREFIX}TRUST_DOMAIN"
    try:
        return Settings.load({name: given}).trust_domain
    except UsageError as error:
        raise UsageError(error.message.replace(f"{name}=", "--trust-domain ")) from error
