"""The bootstrap: all that Envoy is told before it asks the control plane, so that nothing else need be on disk.

Admin is a Unix socket only: over TCP, any process that reaches it could reconfigure or stop the
proxy.
"""

from dataclasses import dataclass
from typing import Any

from outgate.xds import bootstraps

XDS_CLUSTER = "xds"
_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What differs between proxies; `xds_path` and `admin_path` are Unix sockets, at most 107 bytes long."""

    node_id: str
    cluster: str
    xds_path: str
    admin_path: str
    max_connections: int = 20_000
    heap_bytes: int = 1 << 30
    is_egress: bool = False


def render(options: Bootstrap) -> dict[str, Any]:
    """Return the bootstrap in JSON form."""
    service = {
        "cluster_name": XDS_CLUSTER,
        # Soon again with a daemon that was restarted; the default waits up to 30 s.
        "retry_policy": {"retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}},
    }
    return {
        "node": {"id": options.node_id, "cluster": options.cluster},
        "admin": {"address": {"pipe": {"path": options.admin_path, "mode": 0o600}}},
        **bootstraps.common({"envoy_grpc": service}, options.max_connections, options.heap_bytes),
        **(bootstraps.EGRESS if options.is_egress else {}),
        "static_resources": {"clusters": [_xds(options.xds_path)]},
    }


def _xds(path: str) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": {"pipe": {"path": path}}}}
    return {
        "name": XDS_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": XDS_CLUSTER,
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
        "typed_extension_protocol_options": {
            _HTTP: {
                "@type": "type.googleapis.com/" + _HTTP,
                "explicit_http_config": {
                    "http2_protocol_options": {
                        "connection_keepalive": {"interval": "30s", "timeout": "5s"}
                    }
                },
            }
        },
    }
