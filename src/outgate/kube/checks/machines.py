"""Judges a cluster's version, its nodes, and the ranges that it names."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from outgate.kube import ranges
from outgate.kube.checks.findings import Finding, error, ok, some, warning
from outgate.kube.helm.chart import OLDEST

Item = Mapping[str, Any]

# Envoy's own image is made for these.
_ARCHITECTURES = ("amd64", "arm64")
# Since when tables of nftables may translate addresses for both IP versions at once.
_KERNEL = (5, 2)
_HINT_RANGES = "name those of Services and pods: outgate install --cluster-ranges=RANGES"


def server(version: Item) -> Iterator[Finding]:
    """Judge what /version says."""
    said = str(version.get("gitVersion"))
    if _numbers(said) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        yield error("server", f"Kubernetes {said} is too old", f"upgrade it to {oldest} or later")
    else:
        yield ok("server", f"Kubernetes {said}")


def nodes(found: Sequence[Item]) -> Iterator[Finding]:
    """Judge each node's operating system, architecture, kubelet and kernel."""
    infos = {each["metadata"]["name"]: each["status"]["nodeInfo"] for each in found}
    windows = [name for name, info in infos.items() if info["operatingSystem"] != "linux"]
    others = {name: info for name, info in infos.items() if name not in windows}
    if windows:
        yield warning("nodes", f"not Linux: {some(windows)}", "pods there are not captured")
    strange = [name for name, each in others.items() if each["architecture"] not in _ARCHITECTURES]
    if strange:
        hint = f"there are images for {' and '.join(_ARCHITECTURES)}: keep captured pods from there"
        yield warning("nodes", f"of another architecture: {some(strange)}", hint)
    old = [name for name, each in others.items() if _numbers(each["kubeletVersion"]) < OLDEST]
    if old:
        hint = f"sidecars need {'.'.join(map(str, OLDEST))}: upgrade it, or keep captured pods from there"
        yield error("nodes", f"the kubelet is too old on {some(old)}", hint)
    kernels = [name for name, each in others.items() if _numbers(each["kernelVersion"]) < _KERNEL]
    if kernels:
        hint = "see whether capture works there: outgate check --probe"
        yield warning("nodes", f"Linux before 5.2 on {some(kernels)}", hint)
    if not others:
        yield error("nodes", "there is no Linux node", "pods are captured on Linux")
    elif not (strange or old or kernels):
        seen = {
            f"{each['architecture']}, Linux {each['kernelVersion']}" for each in others.values()
        }
        yield ok("nodes", f"{len(others)} ({some(sorted(seen), 3)})")


def inside(cidrs: Sequence[Item] | None, found: Iterable[Item], chosen: str) -> Iterator[Finding]:
    """Judge whether the cluster says what is inside; `cidrs` None: it knows no ServiceCIDR; `chosen`: set by a flag."""
    if chosen:
        yield ok("ranges", f"set: {chosen}")
        return
    services = ranges.services(cidrs or ())
    pods = ranges.pods(found)
    if not services:
        why = "there are none before Kubernetes 1.33" if cidrs is None else "there are none"
        yield warning("ranges", f"no ServiceCIDR names those of Services ({why})", _HINT_RANGES)
    if not pods:
        yield warning("ranges", "no Node names those of its pods (podCIDRs)", _HINT_RANGES)
    if services and pods:
        yield ok(
            "ranges",
            "named by the cluster: " + ranges.written(services | pods).strip().replace("\n", ","),
        )


def _numbers(version: str) -> tuple[int, int]:
    """Return the first two numbers of a version; what has none is of no version that is known to do."""
    match = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)
