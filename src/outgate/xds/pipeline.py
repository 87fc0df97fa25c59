"""The pipeline: what happens to a captured connection, whichever way it came.

Nothing here depends on which services exist, but for the numbers of their HTTP ports. An HTTP request finds its routes
by the service and namespace in its Host; a plain TCP connection finds its cluster by its address and port. What is not
found is not declared, and is denied.
"""

from collections.abc import Iterable
from typing import Any

from outgate.model.addresses import IPV4, IPV6
from outgate.model.workloads import Network
from outgate.settings import Settings
from outgate.xds import denials, naming
from outgate.xds.building import typed
from outgate.xds.denials import Caller

ADS = {"ads": {}, "resource_api_version": "V3"}
SNIFF_SECONDS = 0.04
"""How long a listener waits for a client's first bytes: denials must come within 0.1 s. On a declared HTTP port a
slower client is waited for by the HTTP filter."""
TUNNELLED_SECONDS = 20
"""How long an HTTP connection that came by a tunnel is kept; the answer after that is its last. So clients of an egress
Envoy that is to end go elsewhere by themselves, without a failed call."""
LATE_SNIFF_SECONDS = 15.0
LATE_IDLE_SECONDS = 60.0
"""How long a connection that was silent at first may be without a request."""


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


def connection_chain(settings: Settings, log: str, caller: Caller) -> list[dict[str, Any]]:
    """Return the filters of connections that are not HTTP: to the cluster that their address and port name."""
    key = "%DOWNSTREAM_LOCAL_ADDRESS%"
    actions = [
        state(naming.STATE_CLUSTER, f"tcp|{key}", shared=False),
        state(naming.STATE_ORIGINAL, key),
        *_caller_state(caller),
    ]
    config = typed(
        "extensions.filters.network.set_filter_state.v3.Config", on_new_connection=actions
    )
    chosen = {"name": "envoy.filters.network.set_filter_state", "typed_config": config}
    return [chosen, _tcp_proxy(settings, "tcp", denials.connection_log(log, caller))]


def refusing_chain(
    settings: Settings, log: str, caller: Caller, protocol: str, reason: str
) -> list[dict[str, Any]]:
    """Return the filter of connections that are closed, and logged with the reason."""
    return [_tcp_proxy(settings, protocol, denials.refusal_log(log, caller, protocol, reason))]


def _tcp_proxy(settings: Settings, prefix: str, log: list[dict[str, Any]]) -> dict[str, Any]:
    proxy = typed(
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix=prefix,
        cluster=naming.DENY,
        idle_timeout=seconds(settings.idle_timeout * 12),
        access_log=log,
    )
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}


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


def http_chain(
    settings: Settings, log: str, caller: Caller, idle: float | None = None
) -> list[dict[str, Any]]:
    """Return the filter of plain HTTP connections: routes by service, namespace and port."""
    # Routes whose cluster comes on demand switch it on.
    on_demand = typed("extensions.filters.http.on_demand.v3.OnDemand")
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
            {"name": naming.ON_DEMAND, "typed_config": on_demand, "disabled": True},
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
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 65536,
            "initial_connection_window_size": 1048576,
        },
    }


def chains(
    settings: Settings, log: str, caller: Caller, ports: Iterable[int] = ()
) -> dict[str, Any]:
    """Return the filter chains of a listener that recognises TLS and HTTP; all else is taken as plain TCP.

    On `ports`, those of declared HTTP services, a connection to a virtual address is HTTP before it says anything.
    """
    named = {
        # A port on which the egress opens TLS itself takes plain HTTP.
        "tls": refusing_chain(settings, log, caller, "tls", denials.NOT_DECLARED_TLS),
        "http": http_chain(settings, log, caller),
    }
    matchers = [
        _matched("tls", _single("TransportProtocolInput", _exact("tls"))),
        _matched("http", _any(_single("ApplicationProtocolInput", each) for each in _HTTP)),
    ]
    if numbers := sorted(ports):
        named["late"] = http_chain(settings, log, caller, LATE_IDLE_SECONDS)
        on_port = _any(_single("DestinationPortInput", _exact(str(each))) for each in numbers)
        matchers.append(_matched("late", {"and_matcher": {"predicate": [_VIRTUAL, on_port]}}))
    return {
        "filter_chains": [{"name": name, "filters": each} for name, each in named.items()],
        "filter_chain_matcher": {"matcher_list": {"matchers": matchers}},
        "default_filter_chain": {
            "name": "tcp",
            "filters": connection_chain(settings, log, caller),
        },
    }


def _exact(value: str) -> dict[str, Any]:
    return {"value_match": {"exact": value}}


_HTTP = tuple(_exact(f"'{name}'") for name in ("http/1.1", "http/1.0", "h2c"))


def _single(kind: str, match: dict[str, Any]) -> dict[str, Any]:
    config = typed(f"extensions.matching.common_inputs.network.v3.{kind}")
    return {"single_predicate": {"input": {"name": kind, "typed_config": config}, **match}}


def _any(predicates: Iterable[dict[str, Any]]) -> dict[str, Any]:
    several = list(predicates)
    return several[0] if len(several) == 1 else {"or_matcher": {"predicate": several}}


def _matched(chain: str, predicate: dict[str, Any]) -> dict[str, Any]:
    name = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": chain}
    return {"predicate": predicate, "on_match": {"action": {"name": chain, "typed_config": name}}}


def _in_ranges(name: str, ranges: Iterable[Network]) -> dict[str, Any]:
    config = typed(
        "extensions.matching.input_matchers.ip.v3.Ip",
        stat_prefix=name,
        cidr_ranges=[
            {"address_prefix": str(each.network_address), "prefix_len": each.prefixlen}
            for each in ranges
        ],
    )
    match = {"custom_match": {"name": name, "typed_config": config}}
    return _single("DestinationIPInput", match)


def to_ranges(chain: str, ranges: Iterable[Network]) -> dict[str, Any]:
    """Return a `filter_chain_matcher` that sends what goes to some ranges to a chain, all else to the default."""
    return {"matcher_list": {"matchers": [_matched(chain, _in_ranges(chain, ranges))]}}


_VIRTUAL = _in_ranges("virtual", (IPV4, IPV6))
