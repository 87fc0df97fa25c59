"""The filters in listeners that policies are enforced by: names only, as what they do comes as resources of its own.

Until it has come, and where it never does, Envoy answers nothing: HTTP with 500, anything else by closing.
"""

from typing import Any

from outgate.xds.building import PREFIX

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


def _discovered(name: str, type_url: str) -> dict[str, Any]:
    source = {"ads": {}, "resource_api_version": "V3"}
    return {"name": name, "config_discovery": {"config_source": source, "type_urls": [type_url]}}


def of_calls() -> list[dict[str, Any]]:
    """Return the HTTP filters, in order."""
    return [_discovered(name, type_url) for name, type_url in _OF_CALLS]


def of_connections(name: str) -> list[dict[str, Any]]:
    """Return the network filter that decides on connections of a kind; it stands right before the proxy."""
    return [_discovered(name, NETWORK_STATE)]
