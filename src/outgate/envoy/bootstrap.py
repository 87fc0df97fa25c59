"""The bootstrap: all that Envoy is told before it asks the control plane, so that nothing else need be on disk.

Admin is a Unix socket only: over TCP, any process that reaches it could reconfigure or stop the
proxy.
"""

from dataclasses import dataclass
from typing import Any

PREFIX = "type.googleapis.com/envoy."
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


def render(options: Bootstrap) -> dict[str, Any]:
    """Return the bootstrap in JSON form."""
    return {
        "node": {"id": options.node_id, "cluster": options.cluster},
        "admin": {"address": {"pipe": {"path": options.admin_path, "mode": 0o600}}},
        "bootstrap_extensions": [
            {
                "name": "envoy.bootstrap.internal_listener",
                "typed_config": {
                    "@type": PREFIX + "extensions.bootstrap.internal_listener.v3.InternalListener"
                },
            }
        ],
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [
                    {
                        "envoy_grpc": {
                            "cluster_name": XDS_CLUSTER,
                            # Soon again with a daemon that was restarted; the default waits up to 30 s.
                            "retry_policy": {
                                "retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}
                            },
                        }
                    }
                ],
            },
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
        },
        "static_resources": {"clusters": [_xds(options.xds_path)]},
        # What a large change took is given back.
        "memory_allocator_manager": {
            "bytes_to_release": str(16 << 20),
            "memory_release_interval": "1s",
        },
        "overload_manager": {
            "refresh_interval": "1s",
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": PREFIX
                        + "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": str(options.max_connections),
                    },
                }
            ],
        },
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
