"""Sidecar capture: each connection goes through a tunnel, HTTP/2 CONNECT over mTLS, and meets the pipeline at its end.

A sidecar's whole configuration is here; it names no service, so it is the same size however many there are.
"""

from typing import Any

from outgate.settings import Settings
from outgate.xds import building, naming, pipeline
from outgate.xds.building import typed
from outgate.xds.listeners import BUFFER_BYTES
from outgate.xds.snapshot import Resource

EGRESS_CLUSTER = "egress"
EGRESS_CERTIFICATE, WORKLOAD_CERTIFICATE, TRUST = "egress", "workload", "trust"
"""Names of SDS secrets: a proxy asks for the one that is its own."""
STREAM_WINDOW, CONNECTION_WINDOW = 1 << 20, 1 << 24
"""HTTP/2 windows in bytes: Envoy's defaults would hold a fast download back."""

_RAW_AUTHORITY = (
    # 240.240.128.0/17, and 2001:2:0:8000::/49 as "[2001:2:0:8xxx" up to "[2001:2:0:fxxx".
    r"240\.240\.(12[89]|1[3-9][0-9]|2[0-9][0-9])\..*|\[2001:2:0:[89a-f][0-9a-f]{3}:.*"
)


def _sds(name: str) -> dict[str, Any]:
    return {"name": name, "sds_config": pipeline.ADS}


def _common_tls(certificate: str, peers: dict[str, str]) -> dict[str, Any]:
    return {
        "alpn_protocols": ["h2"],
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_3",
            "tls_maximum_protocol_version": "TLSv1_3",
        },
        "tls_certificate_sds_secret_configs": [_sds(certificate)],
        "combined_validation_context": {
            "default_validation_context": {
                "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": peers}]
            },
            "validation_context_sds_secret_config": _sds(TRUST),
        },
    }


def egress_id(settings: Settings) -> str:
    """Return the SPIFFE ID of the egress, which sidecars insist on."""
    return f"spiffe://{settings.trust_domain}/ns/outgate-system/sa/outgate-egress"


def front(path: str, settings: Settings) -> tuple[Resource, ...]:
    """Return the egress Envoy's end of the tunnels, on the Unix socket `path`.

    The identity is the client certificate's URI; the namespace and the pod are in its DNS and e-mail names, which our
    own authority puts there (`serve.authority`), because Envoy cannot take a URI apart.
    """
    pipe = {"pipe": {"path": path, "mode": 0o600}}
    actions = [
        pipeline.state(naming.STATE_IDENTITY, "%DOWNSTREAM_PEER_URI_SAN%"),
        pipeline.state(naming.STATE_NAMESPACE, "%DOWNSTREAM_PEER_DNS_SAN%"),
        pipeline.state(naming.STATE_POD, "%DOWNSTREAM_PEER_EMAIL_SAN%"),
        pipeline.state(naming.STATE_ORIGINAL, "%REQ(:AUTHORITY)%"),
    ]
    raw = {
        "name": ":authority",
        "string_match": {"safe_regex": {"regex": _RAW_AUTHORITY}},
    }
    manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=naming.TUNNEL,
        codec_type="HTTP2",
        stream_idle_timeout="0s",
        generate_request_id=False,
        http2_protocol_options={
            "allow_connect": True,
            "max_concurrent_streams": 10000,
            "initial_stream_window_size": STREAM_WINDOW,
            "initial_connection_window_size": CONNECTION_WINDOW,
        },
        http_filters=[
            {
                "name": "envoy.filters.http.set_filter_state",
                "typed_config": typed(
                    "extensions.filters.http.set_filter_state.v3.Config", on_request_headers=actions
                ),
            },
            {
                "name": "envoy.filters.http.router",
                "typed_config": typed(
                    "extensions.filters.http.router.v3.Router",
                    suppress_envoy_headers=True,
                    dynamic_stats=False,
                ),
            },
        ],
        upgrade_configs=[{"upgrade_type": "CONNECT"}],
        route_config={
            "name": naming.TUNNEL,
            "virtual_hosts": [
                {
                    "name": naming.TUNNEL,
                    "domains": ["*"],
                    "routes": [_connect(naming.RAW, [raw]), _connect(naming.CAPTURE, [])],
                }
            ],
        },
    )
    context = typed(
        "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        require_client_certificate=True,
        common_tls_context=_common_tls(
            EGRESS_CERTIFICATE, {"prefix": f"spiffe://{settings.trust_domain}/ns/"}
        ),
    )
    chain = {
        "filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
        ],
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context},
    }
    form = {
        "name": naming.TUNNEL,
        "address": pipe,
        "filter_chains": [chain],
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
    }
    return (building.listener(form),)


def _connect(listener: str, headers: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "match": {"connect_matcher": {}, "headers": headers},
        "route": {
            "cluster": naming.internal_cluster(listener),
            "timeout": "0s",
            "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}],
        },
    }


def _to_egress(path: str, settings: Settings) -> Resource:
    context = typed(
        "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        sni="egress",
        common_tls_context=_common_tls(WORKLOAD_CERTIFICATE, {"exact": egress_id(settings)}),
    )
    window = {
        "initial_stream_window_size": STREAM_WINDOW,
        "initial_connection_window_size": CONNECTION_WINDOW,
        "connection_keepalive": {"interval": "30s", "timeout": "10s"},
    }
    options = typed(
        "extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config={"http2_protocol_options": window},
    )
    endpoint = {"endpoint": {"address": {"pipe": {"path": path}}}}
    return building.any_cluster(
        {
            "name": EGRESS_CLUSTER,
            "type": "STATIC",
            "connect_timeout": pipeline.seconds(settings.connect_timeout),
            "load_assignment": {
                "cluster_name": EGRESS_CLUSTER,
                "endpoints": [{"lb_endpoints": [endpoint]}],
            },
            "circuit_breakers": {
                "thresholds": [
                    {"max_connections": 1024, "max_requests": 65536, "max_pending_requests": 65536}
                ]
            },
            "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context},
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
            },
        }
    )


def sidecar(path: str, settings: Settings) -> tuple[Resource, ...]:
    """Return all that a sidecar gets: both capture listeners, and the way to the egress at the Unix socket `path`."""
    proxy = typed(
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix="tunnel",
        cluster=EGRESS_CLUSTER,
        idle_timeout=pipeline.seconds(settings.idle_timeout * 12),
        tunneling_config={"hostname": "%DOWNSTREAM_LOCAL_ADDRESS%"},
    )

    def capture(name: str, port: int) -> Resource:
        def at(ip: str) -> dict[str, Any]:
            return {"socket_address": {"address": ip, "port_value": port}}

        return building.listener(
            {
                "name": name,
                "address": at("127.0.0.1"),
                "additional_addresses": [{"address": at("::1")}],
                "listener_filters": pipeline.listener_filters(sniff=False),
                "per_connection_buffer_limit_bytes": BUFFER_BYTES,
                "filter_chains": [
                    {
                        "filters": [
                            {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}
                        ]
                    }
                ],
            }
        )

    return (
        _to_egress(path, settings),
        capture(naming.CAPTURE, naming.CAPTURE_PORT),
        capture(naming.RAW, naming.RAW_PORT),
    )
