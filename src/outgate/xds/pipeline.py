"""The pipeline: what happens to a captured connection, whichever way it came.

Nothing here depends on which services exist, but for the numbers of their ports. An HTTP request finds its routes
by the service and namespace in its Host; a plain TCP connection finds its cluster by its address and port. What is not
found is not declared, and is denied.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from outgate.model.addresses import IPV4, IPV6, LOCAL
from outgate.model.workloads import Network
from outgate.settings import Settings
from outgate.xds import denials, http, naming
from outgate.xds.bootstraps import BUFFER_BYTES
from outgate.xds.building import seconds, typed
from outgate.xds.denials import Caller
from outgate.xds.policing import filters

SNIFF_SECONDS = 0.04
"""How long a listener waits for a client's first bytes: denials must come within 0.1 s. On a declared port of HTTP or
TLS a slower client is waited for in an inner listener."""
LATE_SNIFF_SECONDS = 60.0
"""How long it waits: there are clients that connect well before they need to."""
LATE_IDLE_SECONDS = 60.0
"""How long a connection may be without a request where nobody looks at what it begins with."""


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


def sniffing(timeout: float) -> dict[str, Any]:
    """Return what a listener has that recognises TLS and HTTP, if the client speaks within some seconds."""
    return {
        "listener_filters": listener_filters(sniff=True),
        "listener_filters_timeout": seconds(timeout),
        "continue_on_listener_filters_timeout": True,
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "metadata": {"filter_metadata": {naming.METADATA: denials.DENIED}},
    }


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


@dataclass(frozen=True, slots=True)
class Known:
    """All that listeners know of destinations: ports by number, and networks that are called by address.

    The ports are those at which the client speaks first, as it does in HTTP and TLS.
    """

    ports: tuple[int, ...] = ()
    networks: tuple[Network, ...] = ()


NOTHING = Known()


def connection_chain(
    settings: Settings, log: str, caller: Caller, *, local: bool = False, cluster: str = ""
) -> list[dict[str, Any]]:
    """Return the filters of connections that are not HTTP: to the cluster that their address and port name.

    `local`: for addresses of a local region, where it names the caller's namespace too; as in `tls_chain`. With
    `cluster` they all go there, to a listener that decides on them.
    """
    key = naming.raw_prefix(caller.namespace if local else "") + "%DOWNSTREAM_LOCAL_ADDRESS%"
    chosen = _choosing(caller, cluster or key)
    proxy = tcp_proxy(settings, "tcp", denials.connection_log(log, caller))
    decided = [] if cluster else filters.of_connections(filters.TCP, caller.fixed)
    return [chosen, *decided, proxy]


def tls_chain(
    settings: Settings, log: str, caller: Caller, *, local: bool = False
) -> list[dict[str, Any]]:
    """Return the filters of TLS that is passed through: to the cluster that its server name and port name."""
    key = "%REQUESTED_SERVER_NAME%:%DOWNSTREAM_LOCAL_PORT%"
    chosen = _choosing(caller, naming.tls_prefix(caller.namespace if local else "") + key)
    proxy = tcp_proxy(settings, "tls", denials.tls_log(log, caller))
    return [chosen, *filters.of_connections(filters.TLS, caller.fixed), proxy]


def _choosing(caller: Caller, cluster: str) -> dict[str, Any]:
    actions = [
        state(naming.STATE_CLUSTER, cluster, shared=False),
        state(naming.STATE_ORIGINAL, "%DOWNSTREAM_LOCAL_ADDRESS%"),
        *_caller_state(caller),
    ]
    return setting(*actions)


def setting(*actions: dict[str, Any]) -> dict[str, Any]:
    """Return the network filter that does what `state` returns, for each connection."""
    config = typed(
        "extensions.filters.network.set_filter_state.v3.Config", on_new_connection=actions
    )
    return {"name": "envoy.filters.network.set_filter_state", "typed_config": config}


def refusing_chain(
    settings: Settings, log: str, caller: Caller, protocol: str, reason: str
) -> list[dict[str, Any]]:
    """Return the filter of connections that are closed, and logged with the reason."""
    return [tcp_proxy(settings, protocol, denials.refusal_log(log, caller, protocol, reason))]


def tcp_proxy(
    settings: Settings, prefix: str, log: list[dict[str, Any]], cluster: str = naming.DENY
) -> dict[str, Any]:
    """Return the filter that passes bytes on: to the cluster in filter state, or else to `cluster`."""
    proxy = typed(
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix=prefix,
        cluster=cluster,
        idle_timeout=seconds(settings.idle_timeout * 12),
        access_log=log,
    )
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}


def chains(settings: Settings, log: str, caller: Caller, known: Known = NOTHING) -> dict[str, Any]:
    """Return the filter chains of a listener that recognises TLS and HTTP; all else is taken as plain TCP.

    A connection to a virtual address that says nothing goes on into a listener that waits for it, on such ports as are
    declared for HTTP or TLS.
    """
    named = _tls_chains(settings, log, caller) | {"http": http.chain(settings, log, caller)}
    matchers = [
        *_TLS,
        matched("http", _any(_single("ApplicationProtocolInput", each) for each in _HTTP)),
    ]
    if known.networks:
        inner = naming.internal_cluster(naming.ADDRESS)
        named["address"] = connection_chain(settings, log, caller, cluster=inner)
        matchers.insert(0, matched("address", in_ranges("address", known.networks)))
    if numbers := sorted(known.ports):
        inner = naming.internal_cluster(naming.LATE)
        named["late"] = connection_chain(settings, log, caller, cluster=inner)
        on_ports = _any(on_port(each) for each in numbers)
        matchers.append(matched("late", every([_VIRTUAL, on_ports])))
    return _chosen(named, matchers, connection_chain(settings, log, caller), "tcp")


def late_chains(settings: Settings, log: str, caller: Caller) -> dict[str, Any]:
    """Return the filter chains of a listener for ports of HTTP or TLS alone: what is no TLS is taken as HTTP."""
    otherwise = http.chain(settings, log, caller, LATE_IDLE_SECONDS)
    return _chosen(_tls_chains(settings, log, caller), [*_TLS], otherwise, "http")


def _tls_chains(settings: Settings, log: str, caller: Caller) -> dict[str, list[dict[str, Any]]]:
    return {
        "tls": tls_chain(settings, log, caller),
        "tls-local": tls_chain(settings, log, caller, local=True),
    }


def _chosen(
    named: dict[str, list[dict[str, Any]]],
    matchers: list[dict[str, Any]],
    otherwise: list[dict[str, Any]],
    default: str,
) -> dict[str, Any]:
    return {
        "filter_chains": [{"name": name, "filters": each} for name, each in named.items()],
        "filter_chain_matcher": {"matcher_list": {"matchers": matchers}},
        "default_filter_chain": {"name": default, "filters": otherwise},
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


def every(predicates: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a predicate that holds where all of several do."""
    return {"and_matcher": {"predicate": predicates}}


def on_port(number: int) -> dict[str, Any]:
    """Return a predicate on the port that was called."""
    return _single("DestinationPortInput", _exact(str(number)))


def server_name(pattern: str) -> dict[str, Any]:
    """Return a predicate on all of TLS's server name, as a regular expression."""
    return _single(
        "ServerNameInput", {"value_match": {"safe_regex": {"google_re2": {}, "regex": pattern}}}
    )


IS_TLS = _single("TransportProtocolInput", _exact("tls"))


def matched(chain: str, predicate: dict[str, Any]) -> dict[str, Any]:
    """Return a matcher that sends what a predicate holds for to a chain."""
    name = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": chain}
    return {"predicate": predicate, "on_match": {"action": {"name": chain, "typed_config": name}}}


def called_from(namespaces: list[str]) -> dict[str, Any]:
    """Return a predicate on the caller's namespace, in an inner listener: it is one of these."""
    config = typed(
        "extensions.matching.common_inputs.network.v3.FilterStateInput", key=naming.STATE_NAMESPACE
    )
    return _any(
        {
            "single_predicate": {
                "input": {"name": "namespace", "typed_config": config},
                **_exact(each),
            }
        }
        for each in namespaces
    )


def in_ranges(name: str, ranges: Iterable[Network]) -> dict[str, Any]:
    """Return a predicate on the address that was called: it is in one of some networks."""
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
    return {"matcher_list": {"matchers": [matched(chain, in_ranges(chain, ranges))]}}


_VIRTUAL = in_ranges("virtual", (IPV4, IPV6))
_LOCAL = in_ranges("local", [network for each in LOCAL for network in each.networks])
_TLS = (matched("tls-local", every([IS_TLS, _LOCAL])), matched("tls", IS_TLS))
