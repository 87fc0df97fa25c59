"""What is captured in a pod, read from the pod itself: what its init container is told, or why it has none."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from outgate.errors import UsageError
from outgate.inject import pod as pods
from outgate.inject.annotations import parse_ports
from outgate.model.ranges import parse_ranges
from outgate.model.workloads import Network
from outgate.xds.naming import IpAddress

_VERSION = "injected-version-"


@dataclass(frozen=True, slots=True)
class Captured:
    """A pod that has capture: what it is told, as `firewall.rules.CaptureRules` has it; `version` injected it."""

    version: str
    service_account: str
    include: tuple[Network, ...] = ()
    exclude: tuple[Network, ...] = ()
    include_ports: tuple[int, ...] = ()
    exclude_ports: tuple[int, ...] = ()
    resolves: bool = False
    """Whether the pod's DNS is captured."""

    def port(self, number: int) -> str:
        """Say why a port is never captured, whatever the address; empty where it may be."""
        return f"port {number} is not captured in this pod" if number in self.exclude_ports else ""

    def address(self, address: IpAddress, port: int) -> str:
        """Say why a call to an address is not captured; empty where it is."""
        if found := within(address, self.exclude):
            return f"{found} is not captured in this pod"
        if said := self.port(port):
            return said
        if self.include and port not in self.include_ports and not within(address, self.include):
            return f"in this pod only {_listed(self.include)} is captured"
        return ""

    @property
    def only(self) -> str:
        """Say which addresses alone are captured; empty where all are."""
        return f"only where its address is in {_listed(self.include)}" if self.include else ""


def _listed(networks: Iterable[Network]) -> str:
    return ", ".join(map(str, networks))


def within(address: IpAddress, networks: Iterable[Network]) -> Network | None:
    """Return the first network that has the address."""
    return next((each for each in networks if address in each), None)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read networks."""
    return tuple(ipaddress.ip_network(each) for each in texts)


def captured(pod: Mapping[str, Any]) -> Captured | None:
    """Return what is captured in a pod; None if nothing is."""
    spec = pod.get("spec") or {}
    init = next((e for e in spec.get("initContainers") or () if e.get("name") == pods.INIT), None)
    said = str(((pod.get("metadata") or {}).get("annotations") or {}).get(pods.STATUS, ""))
    if init is None or not said:
        return None
    given = {key: value for key, _, value in (e.partition("=") for e in init.get("args") or ())}
    try:
        return Captured(
            said.removeprefix(_VERSION),
            spec.get("serviceAccountName") or "default",
            parse_ranges(given.get("--include", ""), "--include"),
            parse_ranges(given.get("--exclude", ""), "--exclude"),
            parse_ports(given.get("--include-ports", ""), "--include-ports"),
            parse_ports(given.get("--exclude-ports", ""), "--exclude-ports"),
            "--dns-port" in given,
        )
    except UsageError as error:
        name = (pod.get("metadata") or {}).get("name")
        raise UsageError(f"pod {name}: its init container {pods.INIT}: {error}") from error


def reason(pod: Mapping[str, Any]) -> str:
    """Say why nothing is captured in a pod that has no capture."""
    skipped = pods.reason_to_skip(pod)
    if skipped and skipped != pods.CAPTURED:
        return skipped
    return "it was made without capture: see kube-inject, and the label outgate.dev/inject=enabled"
