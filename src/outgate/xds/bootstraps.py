"""What every Envoy's bootstrap has, on one machine and in a cluster: how it asks for the rest, and its own limits.

Protobuf's types are not loaded for it: `kube-inject` has no other use for them.
"""

from typing import Any

from outgate.xds import overload
from outgate.xds.overload import PREFIX

__all__ = ["BUFFER_BYTES", "EGRESS", "PREFIX", "common"]

BUFFER_BYTES = 64 << 10
"""Bytes that a connection may buffer at each step, in each direction: what a client has that sends and is not read.

32 KiB, the edge advice, halves the rate of large bodies; from 64 KiB on the rate is that of 1 MiB, as measured.
"""
EGRESS: dict[str, Any] = {
    "layered_runtime": {
        "layers": [
            {
                "name": "egress",
                "static_layer": {
                    # Envoy takes the end of a tunnel through a proxy on the way for a reset, which overtakes what is
                    # still in an inner listener: the last bytes would be lost. A sidecar must pass resets on.
                    "envoy.reloadable_features.propagate_upstream_rst_through_tunneled_tcp_proxy": False,
                    # Envoy's 100 instructions are few for what users write, and for a choice of namespaces; what they
                    # write is limited where it is read (`resources.expressions`).
                    "re2.max_program_size.error_level": 1 << 20,
                },
            }
        ]
    }
}
"""What only an egress Envoy's bootstrap has."""


def common(grpc_service: dict[str, Any], max_connections: int, heap_bytes: int) -> dict[str, Any]:
    """Return that part in JSON form; `grpc_service` says where and how the control plane is reached, the rest bound."""
    return {
        "bootstrap_extensions": [
            {
                "name": "envoy.bootstrap.internal_listener",
                "typed_config": {
                    "@type": PREFIX + "extensions.bootstrap.internal_listener.v3.InternalListener",
                    "buffer_size_kb": BUFFER_BYTES >> 10,
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
        "overload_manager": overload.manager(max_connections, heap_bytes),
    }
