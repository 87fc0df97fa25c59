"""Who calls: a captured workload, with the identity that policy and logs know it by."""

import enum
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from outgate.model.names import Name

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Capture(enum.StrEnum):
    """How a workload's connections reach the egress Envoy."""

    NODE = "node"
    SIDECAR = "sidecar"


@dataclass(frozen=True, slots=True)
class Workload:
    """A captured pod.

    `netns` is the path of its network namespace. `include` are the only ranges that are captured; empty: everything.
    """

    name: Name
    netns: str
    service_account: str = "default"
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    capture: Capture = Capture.NODE
    include: tuple[Network, ...] = ()

    def identity(self, trust_domain: str) -> str:
        """Return the SPIFFE ID, in the form that Istio made common: `spiffe://DOMAIN/ns/NS/sa/ACCOUNT`."""
        return spiffe_id(trust_domain, self.name.namespace, self.service_account)


def spiffe_id(trust_domain: str, namespace: str, service_account: str) -> str:
    """Return the SPIFFE ID of a service account."""
    return f"spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}"
