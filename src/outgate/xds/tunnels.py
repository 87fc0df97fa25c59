"""Tunnels: what a sidecar captured goes through HTTP/2 CONNECT over mTLS, and meets the pipeline at its end."""

from collections.abc import Iterable
from typing import Any

from outgate.settings import Settings
from outgate.xds import building, naming, pipeline
from outgate.xds.bootstraps import BUFFER_BYTES
from outgate.xds.building import typed
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
    return {"name": name, "sds_config": building.ADS}


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


def place(where: str) -> dict[str, Any]:
    """Return Envoy's form of an address: the path of a Unix socket, or `HOST:PORT` with IPv6 in brackets."""
    if where.startswith("/"):
        return {"pipe": {"path": where}}
    host, _, port = where.rpartition(":")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}


def _listening(where: str) -> dict[str, Any]:
    """Return the address of a listener: a socket for its owner alone, or a port of every family."""
    address = place(where)
    if "pipe" in address:
        address["pipe"]["mode"] = 0o600
    else:
        address["socket_address"]["ipv4_compat"] = address["socket_address"]["address"] == "::"
    return address


def front(where: str, settings: Settings) -> tuple[Resource, ...]:
    """Return the egress Envoy's end of the tunnels, at a place as `place` reads it.

    The identity is the client certificate's URI; the namespace and the pod are in its DNS and e-mail names, which our
    own authority puts there (`serve.authority`), because Envoy cannot take a URI apart.
    """
    identity, namespace, pod = (f"%DOWNSTREAM_PEER_{each}_SAN%" for each in ("URI", "DNS", "EMAIL"))
    actions = [
        pipeline.state(naming.STATE_IDENTITY, identity),
        pipeline.state(naming.STATE_NAMESPACE, namespace),
        pipeline.state(naming.STATE_POD, pod),
        pipeline.state(naming.STATE_ORIGINAL, "%REQ(:AUTHORITY)%"),
        _apart(f"{identity} {namespace} {pod}"),
    ]
    raw = {
        "name": ":authority",
        "string_match": {"safe_regex": {"regex": _RAW_AUTHORITY}},
    }
    manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=naming.TUNNEL,
        codec_type="HTTP2",
        # As the sidecar's own; where memory is short it is a matter of seconds (`overload`).
        stream_idle_timeout=building.seconds(settings.idle_timeout * 12),
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
        # Else connections that never begin TLS use up those that there may be.
        "transport_socket_connect_timeout": "5s",
    }
    form = {
        "name": naming.TUNNEL,
        "address": _listening(where),
        "filter_chains": [chain],
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
    }
    return (building.listener(form),)


def _apart(who: str) -> dict[str, Any]:
    """Return the action that has connections to the pipeline kept apart by who calls.

    Envoy keeps one that it opened for a call that was given up, and gives it to the next call to the same address:
    without this, to anybody's. It is not passed on: pods share the connections that lead outside.
    """
    action = pipeline.state(naming.STATE_TUNNEL, who)
    return action | {"factory_key": "envoy.hashable_string", "shared_with_upstream": "ONCE"}


def _connect(listener: str, headers: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "match": {"connect_matcher": {}, "headers": headers},
        "route": {
            "cluster": naming.internal_cluster(listener),
            "timeout": "0s",
            "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}],
        },
    }


def to_egress(places: Iterable[str], settings: Settings) -> Resource:
    """Return a sidecar's cluster with each of the egress Envoys, at places as `place` reads them."""
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
    endpoints = [{"endpoint": {"address": place(each)}} for each in places]
    return building.any_cluster(
        {
            "name": EGRESS_CLUSTER,
            "type": "STATIC",
            "connect_timeout": building.seconds(settings.connect_timeout),
            "load_assignment": {
                "cluster_name": EGRESS_CLUSTER,
                "endpoints": [{"lb_endpoints": endpoints}],
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


def ready(cluster: str = "") -> Resource:
    """Return the listener that answers the kubelet once the rest is there, and an endpoint of `cluster` is healthy.

    One only: of several, the order in what is sent would differ from one process to the next.
    """
    check = typed(
        "extensions.filters.http.health_check.v3.HealthCheck",
        pass_through_mode=False,
        headers=[{"name": ":path", "string_match": {"exact": naming.READY_PATH}}],
        cluster_min_healthy_percentages={cluster: {"value": 1}} if cluster else {},
    )
    manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=naming.READY,
        route_config={"name": naming.READY},
        http_filters=[
            {"name": "envoy.filters.http.health_check", "typed_config": check},
            {
                "name": "envoy.filters.http.router",
                "typed_config": typed("extensions.filters.http.router.v3.Router"),
            },
        ],
    )
    chain = {
        "filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
        ]
    }
    return building.listener(
        {
            "name": naming.READY,
            "address": _listening(f"[::]:{naming.READY_PORT}"),
            "filter_chains": [chain],
            # A probe must be answered whatever else is limited.
            "ignore_global_conn_limit": True,
            "bypass_overload_manager": True,
        }
    )
