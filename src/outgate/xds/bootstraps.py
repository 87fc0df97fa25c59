"""What every Envoy's bootstrap has, on one machine and in a cluster: how it asks for the rest, and its own limits.

Protobuf's types are not loaded for it: `kube-inject` has no other use for them.
"""

from typing import Any

PREFIX = "type.googleapis.com/envoy."


def common(grpc_service: dict[str, Any], max_connections: int) -> dict[str, Any]:
    """Return that part in JSON form; `grpc_service` says where and how the control plane is reached."""
    return {
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
                "grpc_services": [grpc_service],
            },
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
        },
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
                        "max_active_downstream_connections": str(max_connections),
                    },
                }
            ],
        },
    }
