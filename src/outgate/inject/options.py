"""What the sidecar is told, checked before anything is written."""

import enum
import re
from dataclasses import dataclass

from outgate import __version__
from outgate.errors import UsageError
from outgate.model.workloads import Network

PROXY_UID = 1337
"""Istio's: the user whose packets are not captured."""
ENVOY_VERSION, COREDNS_VERSION = "v1.40.0", "1.15.0"
DEFAULT_HUB, ENVOY_HUB = "docker.io/outgate", "docker.io/envoyproxy"
COREDNS_HUB = "docker.io/coredns"
XDS_ADDRESS = "outgate.outgate-system.svc:15012"
"""The port is that of Istio for xDS over TLS."""

_LEVELS = ("error", "warning", "info", "debug", "trace")
_HOST_PORT = re.compile(
    r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?):([0-9]{1,5})"
)
# Of what Kubernetes accepts in `image`: a registry with a port and a path, and a tag.
_HUB = re.compile(
    r"[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?(:[0-9]{1,5})?(/[0-9a-z]+([._-]+[0-9a-z]+)*)*"
)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)


class Sidecar(enum.StrEnum):
    """Where the proxy runs: as an init container that goes on (Kubernetes 1.29), or among the workload's containers."""

    NATIVE = "native"
    CONTAINER = "container"


class PullPolicy(enum.StrEnum):
    """When the images are pulled, in Kubernetes' words."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


@dataclass(frozen=True, slots=True)
class Options:
    """What the injected containers get.

    `hub` is the registry with its path; empty: Docker Hub, with the stock image of Envoy. Without `dns_capture` the
    cluster's DNS answers, also for declared names. `include` are the only ranges
    that are captured, empty: everything; `exclude` and `exclude_ports` never are, `include_ports` always. `xds_address`
    is `host:port`. `version` is what the status annotation says.
    """

    hub: str = ""
    tag: str = __version__
    version: str = __version__
    pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    sidecar: Sidecar = Sidecar.NATIVE
    proxy_uid: int = PROXY_UID
    log_level: str = "info"
    dns_capture: bool = True
    include: tuple[Network, ...] = ()
    exclude: tuple[Network, ...] = ()
    include_ports: tuple[int, ...] = ()
    exclude_ports: tuple[int, ...] = ()
    xds_address: str = XDS_ADDRESS

    def __post_init__(self) -> None:
        """Refuse what Kubernetes or Envoy would refuse later; UsageError names the flag."""
        if self.hub and not _HUB.fullmatch(self.hub):
            raise UsageError(
                f"--hub: {self.hub!r} is not a registry", hint="such as registry.example.com/mesh"
            )
        if not _TAG.fullmatch(self.tag):
            raise UsageError(f"--tag: {self.tag!r} is not an image tag", hint="such as 0.1.0")
        if not 0 < self.proxy_uid < 1 << 31:
            message = f"--sidecarProxyUID: {self.proxy_uid} is not a user id for the proxy"
            raise UsageError(message, hint="a number from 1 to 2147483647, such as 1337")
        _check_address("--xds-address", self.xds_address, XDS_ADDRESS)

    @property
    def image(self) -> str:
        """Our own image, which the init container runs."""
        return f"{self.hub or DEFAULT_HUB}/outgate:{self.tag}"

    @property
    def proxy_image(self) -> str:
        """Envoy's image, as its project builds it."""
        return f"{self.hub or ENVOY_HUB}/envoy:{ENVOY_VERSION}"

    @property
    def coredns_image(self) -> str:
        """CoreDNS's image, as its project builds it."""
        return f"{self.hub or COREDNS_HUB}/coredns:{COREDNS_VERSION}"


def log_level(verbosity: int) -> str:
    """Return Envoy's log level for a verbosity as Istio 0.1 counted it: 0 is the least, 2 the default."""
    return _LEVELS[max(0, min(verbosity, len(_LEVELS) - 1))]


def _check_address(flag: str, address: str, example: str) -> None:
    match = _HOST_PORT.fullmatch(address)
    if match is None or not 0 < int(match[3]) < 1 << 16:
        raise UsageError(f"{flag}: {address!r} is not HOST:PORT", hint=f"such as {example}")
