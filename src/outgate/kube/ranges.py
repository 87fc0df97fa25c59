"""What is inside the cluster: calls there go straight to where they were going.

Kubernetes says which ranges Services have, and mostly which each node gives to its pods. What a network plugin keeps to
itself has to be set.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from outgate.model.workloads import Network


def services(cidrs: Iterable[Mapping[str, Any]]) -> set[Network]:
    """Return the ranges that ServiceCIDR objects name; what is no range is passed over."""
    return {each for item in cidrs for each in _read(item, "cidrs") if not isinstance(each, str)}


def pods(nodes: Iterable[Mapping[str, Any]]) -> set[Network]:
    """Return the ranges from which nodes give addresses to pods; what is no range is passed over."""
    return {each for item in nodes for each in _read(item, "podCIDRs") if not isinstance(each, str)}


def problems(item: Mapping[str, Any]) -> list[str]:
    """Say what is wrong with the ranges of a ServiceCIDR or a Node."""
    fields = ("cidrs", "podCIDRs")
    return [each for field in fields for each in _read(item, field) if isinstance(each, str)]


def _read(item: Mapping[str, Any], field: str) -> Iterator[Network | str]:
    """Yield the ranges in a field of the spec, and a message for each that is none."""
    spec = item.get("spec")
    listed = spec.get(field) if isinstance(spec, Mapping) else None
    for each in listed if isinstance(listed, list) else ():
        try:
            # The API server takes bits of a host, and zeros in front of numbers: those nobody else reads alike.
            yield ipaddress.ip_network(str(each), strict=False)
        except ValueError:
            yield f"spec.{field}: {each!r:.100} is not an IP range"


_PRIVATE: tuple[Network, ...] = tuple(
    ipaddress.ip_network(each)
    # RFC 1918, RFC 6598, RFC 4193.
    for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)


def around(pods: Iterable[Network]) -> set[Network]:
    """Return the private blocks that pods' ranges are in.

    A node that comes later gets another range, most likely of the same block, and a sidecar that runs by then has to
    reach its pods, egress Envoys among them: its rules stay as they were when it started.
    """
    return {
        block
        for each in pods
        for block in _PRIVATE
        if block.version == each.version and each.subnet_of(block)  # type: ignore[arg-type]
    }


def written(networks: Iterable[Network]) -> str:
    """Write ranges as the injected init container reads them: a line each, joined where they touch."""
    found = set(networks)
    lines = [
        str(each)
        for version in (4, 6)
        for each in ipaddress.collapse_addresses(  # type: ignore[type-var]
            net for net in found if net.version == version
        )
    ]
    return "".join(f"{each}\n" for each in lines)
