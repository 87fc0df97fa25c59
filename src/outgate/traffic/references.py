"""What text in a resource can stand for: another destination, a Secret's entry, or a file of the machine."""

import enum
import ipaddress
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Protocol(enum.StrEnum):
    """What an external service speaks on a port.

    HTTPS is plain HTTP to the application; TLS is the application's own, passed through and never decrypted.
    """

    HTTP = "http"
    HTTP2 = "http2"
    GRPC = "grpc"
    HTTPS = "https"
    TLS = "tls"
    TCP = "tcp"

    @property
    def is_http(self) -> bool:
        """Whether the application's side of the call is HTTP, routed by its Host."""
        return self not in (Protocol.TLS, Protocol.TCP)


@dataclass(frozen=True, slots=True, order=True)
class SecretKey:
    """An entry of a Secret; in the namespace of the resource that names it, always."""

    namespace: str
    name: str
    key: str


@dataclass(frozen=True, slots=True, order=True)
class FileKey:
    """A file on the machine of the egress; on one machine only. `path` is absolute."""

    path: str


@dataclass(frozen=True, slots=True, order=True)
class ConfigMapKey:
    """An entry of a ConfigMap, which trusted certificates are in; in the namespace of the resource that names it."""

    namespace: str
    name: str
    key: str


Material = SecretKey | FileKey | ConfigMapKey
"""Where secret or trusted bytes come from. They are fetched at the edge, and are no part of the model."""


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """Another destination: `namespace` and `name` as `model.destinations` names it; `port` 0 for the one called.

    `granted`: its own namespace has agreed (a ReferenceGrant), so that it need not be visible from elsewhere.
    """

    namespace: str
    name: str
    port: int = 0
    granted: bool = False


NOWHERE = Target("", "")
"""What is never declared: where a reference leads that may not be followed. Its share of the calls fails."""
