"""What an HTTP connection meets: one manager for all destinations, which finds its routes by the Host of each request.

What only some routes want is a filter that is off, and that those routes switch on: the others do not pass through it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from outgate.settings import Settings
from outgate.xds import answers, denials, naming
from outgate.xds.building import ADS, seconds, typed
from outgate.xds.denials import Caller
from outgate.xds.policing.filters import of_calls

TUNNELLED_SECONDS = 20
"""How long an HTTP connection that came by a tunnel is kept; the answer after that is its last. So clients of an egress
Envoy that is to end go elsewhere by themselves, without a failed call."""


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
        overwrite(naming.NAMESPACE_HEADER, caller.namespace),
        overwrite(naming.IDENTITY_HEADER, caller.identity),
        overwrite(naming.POD_HEADER, caller.pod),
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


def _filter(name: str, kind: str, *, off: bool = True, **fields: Any) -> dict[str, Any]:
    """Return a filter; one that is `off` is passed through only where a route switches it on."""
    form = {"name": name, "typed_config": typed(f"extensions.filters.http.{kind}", **fields)}
    return form | ({"disabled": True} if off else {})


def _decompressor(name: str, library: str) -> dict[str, Any]:
    config = typed(f"extensions.compression.{library}.decompressor.v3.{library.capitalize()}")
    return _filter(
        name,
        "decompressor.v3.Decompressor",
        decompressor_library={"name": library, "typed_config": config},
        request_direction_config={
            "advertise_accept_encoding": True,
            # What the application sends compressed is for the destination.
            "common_config": {"enabled": {"default_value": False, "runtime_key": "outgate.never"}},
        },
    )


def _state(name: str, key: str, factory: str, value: str, *, off: bool) -> dict[str, Any]:
    action = {
        "object_key": key,
        "factory_key": factory,
        "format_string": {"text_format_source": {"inline_string": value}},
        "shared_with_upstream": "ONCE",
    }
    return _filter(name, "set_filter_state.v3.Config", off=off, on_request_headers=[action])


def _upgrading() -> list[dict[str, Any]]:
    """Return what lets a WebSocket go on by HTTP/1.1, as few servers can have one in a stream of HTTP/2."""
    # RFC 6455 wants a nonce of 16 bytes, which proves nothing to us; RFC 8441, HTTP/2, has none.
    key = {"key": "sec-websocket-key", "value": "b3V0Z2F0ZSBvdXRnYXRlIQ=="}
    append = {"header": key, "append_action": "ADD_IF_ABSENT"}
    return [
        # A connection over TLS may become either.
        _state("outgate.http1", naming.STATE_ALPN, naming.STATE_ALPN, "http/1.1", off=False),
        _filter(
            "outgate.websocket-key",
            "header_mutation.v3.HeaderMutation",
            off=False,
            mutations={"request_mutations": [{"append": append}]},
        ),
    ]


def _filters(
    caller: Caller, own: Sequence[Mapping[str, Any]], *, upgraded: bool = False
) -> list[Mapping[str, Any]]:
    """Return the filters, in their order; for streams that are no longer HTTP, those that leave them alone."""
    router = _filter(
        "envoy.filters.http.router",
        "router.v3.Router",
        off=False,
        suppress_envoy_headers=True,
        dynamic_stats=False,
    )
    whole = [
        _filter(naming.BUFFER, "buffer.v3.Buffer", max_request_bytes=1),
        _decompressor(naming.GZIP, "gzip"),
        _decompressor(naming.BROTLI, "brotli"),
    ]
    who = f"{caller.namespace}/{caller.pod}"
    return [
        *of_calls(caller.fixed),
        # Only what is allowed gets so far: a fault is no answer to who may not call, and is no decision in the log.
        _filter(naming.FAULT, "fault.v3.HTTPFault"),
        *(_upgrading() if upgraded else whole),
        _state(naming.CALLER, naming.STATE_CALLER, "envoy.hashable_string", who, off=True),
        _filter(naming.ON_DEMAND, "on_demand.v3.OnDemand"),
        *own,
        router,
    ]


def chain(
    settings: Settings,
    log: str,
    caller: Caller,
    idle: float | None = None,
    routes: str = "",
    filters: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Return the filter of plain HTTP connections: routes by service, namespace and port.

    With `routes` they are those of one route configuration, for a listener of its own; `filters` are what that has
    before the router.
    """
    named = {"rds": {"route_config_name": routes, "config_source": ADS}}
    manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="http",
        **(named if routes else {"scoped_routes": _scoped_routes()}),
        early_header_mutation_extensions=[
            {
                "name": "envoy.http.early_header_mutation.header_mutation",
                "typed_config": typed(
                    "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                    mutations=_header_mutations(caller),
                ),
            }
        ],
        http_filters=_filters(caller, filters),
        upgrade_configs=[
            {"upgrade_type": "websocket", "filters": _filters(caller, filters, upgraded=True)}
        ],
        access_log=denials.http_log(log, caller),
        local_reply_config=answers.http_denial(caller),
        # Else a rule or a policy for a path would be evaded by writing it otherwise: "/a/../b", "/%2e%2e/b".
        normalize_path=True,
        # Only the port that was really called may stand in the Host; another one is denied.
        strip_matching_host_port=True,
        strip_trailing_host_dot=True,
        generate_request_id=False,
        preserve_external_request_id=True,
        skip_xff_append=True,
        use_remote_address=False,
        server_header_transformation="PASS_THROUGH",
        scheme_header_transformation={"match_upstream": True},
        **_limits(settings, caller, idle or settings.idle_timeout),
    )
    return [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]


def _limits(settings: Settings, caller: Caller, idle: float) -> dict[str, Any]:
    """Return the limits that Envoy's page on edge best practices asks for."""
    tunnelled = caller == denials.TUNNELLED
    life = {"max_connection_duration": seconds(TUNNELLED_SECONDS)} if tunnelled else {}
    return {
        # Not between two answers: the client is told with one that it is the last.
        "http1_safe_max_connection_duration": tunnelled,
        "stream_idle_timeout": seconds(settings.idle_timeout),
        "request_headers_timeout": "30s",
        "max_request_headers_kb": 60,
        "common_http_protocol_options": {
            "idle_timeout": seconds(idle),
            **life,
            "max_headers_count": 200,
            # nginx's default: a header with "_" can be mistaken for one with "-" behind the egress.
            "headers_with_underscores_action": "ALLOW",
        },
        "http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "http-1.0"},
        "http2_protocol_options": {
            # A WebSocket in a stream of HTTP/2 (RFC 8441).
            "allow_connect": True,
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 65536,
            "initial_connection_window_size": 1048576,
        },
    }
