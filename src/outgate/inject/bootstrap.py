"""The bootstrap of an Envoy in a cluster: all of it stands in its arguments, so that a pod is complete by itself.

It proves who it is with its pod's token, which the kubelet renews: Google's gRPC client reads it for each stream anew.
"""

from typing import Any

from outgate.xds import bootstraps

TOKEN_AUDIENCE, TOKEN_SECONDS = "outgate", 3600
MESH, TOKEN, RUN = "/etc/outgate/mesh", "/etc/outgate/token", "/run/outgate"
"""Where a pod's volumes are mounted: what the namespace's ConfigMap says, the token, and room for a socket."""
MESH_MAP = "outgate"
"""The ConfigMap that the controller keeps in each namespace."""
CA_KEY, RANGES_KEY, REACH_KEY = "ca.pem", "cluster-ranges", "proxy-ranges"
"""Keys in it: what the controller's certificate chains to, what is inside the cluster, a range a line, and what the
sidecar itself may call besides."""

FLAGS = (
    "--disable-hot-restart",
    "--drain-strategy",
    "immediate",
    "--file-flush-interval-msec",
    "200",
)
"""For each Envoy: a log that is seen at once, and listeners that drain at once when they are replaced."""


def render(
    xds_address: str, max_connections: int, mebibytes: int, *, egress: bool = False
) -> dict[str, Any]:
    """Return the bootstrap in JSON form; `xds_address` is `host:port`, `mebibytes` the container's memory limit.

    A quarter of that is left for what Envoy does not count as heap, and for what comes before it has noticed.
    """
    heap = (mebibytes << 20) * 3 // 4
    return {
        "admin": {"address": {"pipe": {"path": f"{RUN}/admin.sock", "mode": 0o600}}},
        **bootstraps.common(
            {"google_grpc": _google(xds_address), "retry_policy": _RETRY}, max_connections, heap
        ),
        **(bootstraps.EGRESS if egress else {}),
    }


_RETRY = {"retry_back_off": {"base_interval": "0.5s", "max_interval": "3s"}}
"""Between streams to the control plane; by itself Envoy waits up to 30 s, also in a pod that has just begun."""


def _google(xds_address: str) -> dict[str, Any]:
    token = {
        "name": "envoy.grpc_credentials.file_based_metadata",
        "typed_config": {
            "@type": bootstraps.PREFIX + "config.grpc_credential.v3.FileBasedMetadataConfig",
            "secret_data": {"filename": f"{TOKEN}/token"},
            "header_key": "authorization",
            "header_prefix": "Bearer ",
        },
    }
    return {
        "target_uri": xds_address,
        "stat_prefix": "xds",
        "credentials_factory_name": "envoy.grpc_credentials.file_based_metadata",
        "channel_credentials": {
            "ssl_credentials": {"root_certs": {"filename": f"{MESH}/{CA_KEY}"}},
        },
        "call_credentials": [{"from_plugin": token}],
        "channel_args": {
            "args": {
                # A controller that is gone without a word must be noticed.
                "grpc.keepalive_time_ms": {"int_value": "30000"},
                "grpc.keepalive_timeout_ms": {"int_value": "10000"},
                "grpc.max_reconnect_backoff_ms": {"int_value": "2000"},
                "grpc.initial_reconnect_backoff_ms": {"int_value": "100"},
                "grpc.max_receive_message_length": {"int_value": "-1"},
            }
        },
    }


def volumes() -> list[dict[str, Any]]:
    """Return the volumes of a pod with such an Envoy."""
    token = {"audience": TOKEN_AUDIENCE, "expirationSeconds": TOKEN_SECONDS, "path": "token"}
    return [
        {"name": MESH_VOLUME, "configMap": {"name": MESH_MAP}},
        {"name": TOKEN_VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}},
        {"name": RUN_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
    ]


def mounts() -> list[dict[str, Any]]:
    """Return where its container has them."""
    return [
        {"name": MESH_VOLUME, "mountPath": MESH, "readOnly": True},
        {"name": TOKEN_VOLUME, "mountPath": TOKEN, "readOnly": True},
        {"name": RUN_VOLUME, "mountPath": RUN},
    ]


MESH_VOLUME, TOKEN_VOLUME, RUN_VOLUME = "outgate-mesh", "outgate-token", "outgate-run"
ENVIRONMENT = (
    ("POD_NAME", "metadata.name"),
    ("POD_NAMESPACE", "metadata.namespace"),
    ("SERVICE_ACCOUNT", "spec.serviceAccountName"),
)


def environment() -> list[dict[str, Any]]:
    """Return the environment variables that its arguments name."""
    return [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in ENVIRONMENT
    ]


def security(user: int) -> dict[str, Any]:
    """Return a security context that satisfies the restricted Pod Security Standard."""
    return {
        "runAsUser": user,
        "runAsGroup": user,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
