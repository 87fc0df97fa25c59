"""The pipeline: what happens to a captured connection, whichever way it came.

Nothing here depends on which services exist. An HTTP request finds its routes by the service and namespace in its Host;
any other connection finds its cluster by address, port and SNI. What is not found is not declared, and is denied.
"""

from typing import Any

from outgate.settings import Settings
from outgate.xds import denials, naming
from outgate.xds.building import typed
from outgate.xds.denials import Caller

ADS = {"ads": {}, "resource_api_version": "V3"}
SNIFF_SECONDS = 0.04
"""How long a listener waits for a client's first bytes: denials must come within 0.1 s. A declared HTTP port is found
again by its address afterwards (`clusters.late_alias`), so a slow client loses nothing."""
LATE_SNIFF_SECONDS = 15.0
ON_DEMAND_SECONDS = 5.0


def seconds(value: float) -> str:
    """Write a duration as protobuf's JSON form does."""
    return f"{value:.9f}".rstrip("0").rstrip(".") + "s"


def listener_filters(*, sniff: bool) -> list[dict[str, Any]]:
    """Return the filters that restore the original destination and, with `sniff`, recognise TLS and HTTP."""
    kinds = [("original_dst", "original_dst.v3.OriginalDst")]
    if sniff:
        kinds += [
            ("tls_inspector", "tls_inspector.v3.TlsInspector"),
            ("http_inspector", "http_inspector.v3.HttpInspector"),
        ]
    return [
        {
            "name": f"envoy.filters.listener.{name}",
            "typed_config": typed(f"extensions.filters.listener.{message}"),
        }
        for name, message in kinds
    ]


def state(key: str, value: str, *, shared: bool = True) -> dict[str, Any]:
    """Return an action that stores `value` (a format string) as filter state, by default for inner listeners too."""
    action: dict[str, Any] = {
        "object_key": key,
        "format_string": {"text_format_source": {"inline_string": value}},
    }
    if key.startswith("outgate."):
        action["factory_key"] = "envoy.string"
    if shared:
        action["shared_with_upstream"] = "TRANSITIVE"
    return action


def _caller_state(caller: Caller) -> list[dict[str, Any]]:
    if caller == denials.TUNNELLED:
        return []
    return [
        state(naming.STATE_NAMESPACE, caller.namespace),
        state(naming.STATE_IDENTITY, caller.identity),
        state(naming.STATE_POD, caller.pod),
    ]


def connection_chain(
    settings: Settings, log: str, caller: Caller, *, tls: bool = False
) -> list[dict[str, Any]]:
    """Return the filters of connections that are not decrypted: to the cluster that their address (and SNI) names."""
    key = "%DOWNSTREAM_LOCAL_ADDRESS%"
    cluster = f"tls|{key}|%REQUESTED_SERVER_NAME%" if tls else f"tcp|{key}"
    actions = [
        state(naming.STATE_CLUSTER, cluster, shared=False),
        state(naming.STATE_ORIGINAL, key),
        *_caller_state(caller),
    ]
    proxy = typed(
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix="tls" if tls else "tcp",
        cluster=naming.DENY,
        idle_timeout=seconds(settings.idle_timeout * 12),
        on_demand={"odcds_config": ADS, "timeout": seconds(ON_DEMAND_SECONDS)},
        access_log=denials.connection_log(log, caller, tls=tls),
    )
    return [
        {
            "name": "envoy.filters.network.set_filter_state",
            "typed_config": typed(
                "extensions.filters.network.set_filter_state.v3.Config", on_new_connection=actions
            ),
        },
        {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy},
    ]


def _header_mutations(caller: Caller) -> list[dict[str, Any]]:
    def overwrite(key: str, value: str) -> dict[str, Any]:
        return {
            "append": {
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                "header": {"key": key, "value": value},
            }
        }

    return [
        # A client must not steer the router, nor claim a namespace.
        {"remove_on_match": {"key_matcher": {"prefix": "x-envoy-"}}},
        {"remove_on_match": {"key_matcher": {"prefix": "x-outgate-"}}},
        # "s" becomes "s.NS." and "s.other" becomes "s.other.NS.": the first two labels are service and namespace.
        overwrite(naming.SCOPE_HEADER, f"%REQ(:AUTHORITY)%.{caller.namespace}."),
        overwrite(naming.PORT_HEADER, "%DOWNSTREAM_LOCAL_PORT%"),
    ]


def _label(index: int) -> dict[str, Any]:
    extractor = {"name": naming.SCOPE_HEADER, "element_separator": ".", "index": index}
    return {"header_value_extractor": extractor}


def _scoped_routes() -> dict[str, Any]:
    return {
        "name": naming.SCOPES,
        "scope_key_builder": {"fragments": [_label(0), _label(1)]},
        "rds_config_source": ADS,
        "scoped_rds": {"scoped_rds_config_source": ADS},
    }


def http_chain(settings: Settings, log: str, caller: Caller) -> list[dict[str, Any]]:
    """Return the filter of plain HTTP connections: routes by service, namespace and port."""
    on_demand = typed(
        "extensions.filters.http.on_demand.v3.OnDemand",
        odcds={"source": ADS, "timeout": seconds(ON_DEMAND_SECONDS)},
    )
    router = typed(
        "extensions.filters.http.router.v3.Router", suppress_envoy_headers=True, dynamic_stats=False
    )
    manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="http",
        scoped_routes=_scoped_routes(),
        early_header_mutation_extensions=[
            {
                "name": "envoy.http.early_header_mutation.header_mutation",
                "typed_config": typed(
                    "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                    mutations=_header_mutations(caller),
                ),
            }
        ],
        http_filters=[
            {"name": "envoy.filters.http.on_demand", "typed_config": on_demand},
            {"name": "envoy.filters.http.router", "typed_config": router},
        ],
        access_log=denials.http_log(log, caller),
        local_reply_config=denials.http_denial(caller),
        # Only the port that was really called may stand in the Host; another one is denied.
        strip_matching_host_port=True,
        strip_trailing_host_dot=True,
        generate_request_id=False,
        preserve_external_request_id=True,
        skip_xff_append=True,
        use_remote_address=False,
        server_header_transformation="PASS_THROUGH",
        scheme_header_transformation={"match_upstream": True},
        **_limits(settings),
    )
    return [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]


def _limits(settings: Settings) -> dict[str, Any]:
    """Return the limits that Envoy's page on edge best practices asks for."""
    return {
        "stream_idle_timeout": seconds(settings.idle_timeout),
        "request_headers_timeout": "30s",
        "max_request_headers_kb": 60,
        "common_http_protocol_options": {
            "idle_timeout": seconds(settings.idle_timeout),
            "max_headers_count": 200,
            # nginx's default: a header with "_" can be mistaken for one with "-" behind the egress.
            "headers_with_underscores_action": "ALLOW",
        },
        "http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "http-1.0"},
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 65536,
            "initial_connection_window_size": 1048576,
        },
    }


def chains(settings: Settings, log: str, caller: Caller) -> dict[str, Any]:
    """Return the filter chains of a listener that recognises TLS and HTTP; all else is taken as plain TCP."""
    return {
        "filter_chains": [
            {
                "name": "tls",
                "filter_chain_match": {"transport_protocol": "tls"},
                "filters": connection_chain(settings, log, caller, tls=True),
            },
            {
                "name": "http",
                "filter_chain_match": {"application_protocols": ["http/1.0", "http/1.1", "h2c"]},
                "filters": http_chain(settings, log, caller),
            },
        ],
        "default_filter_chain": {
            "name": "tcp",
            "filters": connection_chain(settings, log, caller),
        },
    }
