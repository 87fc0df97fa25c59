"""The filters in listeners that policies are enforced by: names only, as what they do comes as resources of its own.

Until it has come, and where it never does, Envoy answers nothing: HTTP with 500, anything else by closing. A listener
whose callers are all in one namespace names that namespace's own filters, so that others' rules cost it nothing; one
for callers from anywhere names those for all.

A composite filter there that names each namespace's own (`dynamic_config`) would spare Envoy the rules of the others.
It was tried: Envoy 1.40 fetches what only such a filter names for a listener that is still being begun, else never,
and calls broke while namespaces' first policies came.
"""

from collections.abc import Iterable
from typing import Any

from outgate.xds import building
from outgate.xds.building import ADS, PREFIX, typed
from outgate.xds.snapshot import Resource

CALLER, CALL, HTTP = "policy-caller", "policy-call", "policy-http"
LIMITS, GLOBAL, CREDENTIALS = "policy-limits", "policy-global", "policy-credentials"
TCP, TLS, ADDRESS = "policy-tcp", "policy-tls", "policy-address"

_FILTERS = f"{PREFIX}envoy.extensions.filters"
RBAC = f"{_FILTERS}.http.rbac.v3.RBAC"
STATE = f"{_FILTERS}.http.set_filter_state.v3.Config"
MATCHED = f"{PREFIX}envoy.extensions.common.matching.v3.ExtensionWithMatcher"
NETWORK_STATE = f"{_FILTERS}.network.set_filter_state.v3.Config"

_OF_CALLS = (
    (CALLER, RBAC),
    (CALL, STATE),
    (HTTP, RBAC),
    (LIMITS, MATCHED),
    (GLOBAL, MATCHED),
    (CREDENTIALS, MATCHED),
)
"""Each with what it is where it has something to do. Elsewhere it is an RBAC filter without rules, which costs a call a
tenth of what these cost: three without anything to match took a seventh of the time of a call."""


def named(name: str, namespace: str = "") -> str:
    """Return what the filter of a namespace is called, or the one for all."""
    return f"{name}|{namespace}" if namespace else name


def _discovered(name: str, *type_urls: str) -> dict[str, Any]:
    types = list(dict.fromkeys(type_urls))
    return {"name": name, "config_discovery": {"config_source": ADS, "type_urls": types}}


def of_calls(namespace: str = "") -> list[dict[str, Any]]:
    """Return the HTTP filters, in order; for callers in a namespace, or in any."""
    return [
        # What is noted of a call is the same everywhere, and is so before a namespace's first policy asks for it.
        _discovered(name if name == CALL else named(name, namespace), type_url, RBAC)
        for name, type_url in _OF_CALLS
    ]


def of_connections(name: str, namespace: str = "") -> list[dict[str, Any]]:
    """Return the network filter that decides on connections of a kind; it stands right before the proxy."""
    return [_discovered(named(name, namespace), NETWORK_STATE)]


def answering(
    name: str, run: Iterable[dict[str, Any]], headers: Iterable[dict[str, Any]] = ()
) -> Resource:
    """Return an inner listener that answers all calls, with headers, but for what filters do to them."""
    router = typed("extensions.filters.http.router.v3.Router")
    manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="limit",
        generate_request_id=False,
        http_filters=[*run, {"name": "envoy.filters.http.router", "typed_config": router}],
        route_config={
            "name": name,
            "virtual_hosts": [_ANSWERING | {"response_headers_to_add": [*headers]}],
        },
    )
    network = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    form = {"name": name, "internal_listener": {}, "filter_chains": [{"filters": [network]}]}
    return building.listener(form)


_ANSWERING: dict[str, Any] = {
    "name": "all",
    "domains": ["*"],
    "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
}
