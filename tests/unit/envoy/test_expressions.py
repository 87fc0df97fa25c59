"""Whether an egress Envoy takes what is written of namespaces and hosts as regular expressions."""

import json
from typing import Any

import pytest
from google.protobuf import json_format

from outgate.envoy import binary
from outgate.envoy.validate import validate
from outgate.model.visibility import Callers
from outgate.xds import bootstraps, matching
from outgate.xds import extensions as ext
from outgate.xds.building import typed

_HTTP = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "extensions.filters.http.router.v3.Router"


@pytest.mark.envoy
def test_a_choice_of_many_namespaces_is_taken() -> None:
    match = ext.route_components.RouteMatch(prefix="/")
    named = frozenset(f"{letter * 50}-{number}" for letter in "abcdefgh" for number in range(8))
    matching.by(match, Callers(named))
    said = json_format.MessageToDict(match, preserving_proto_field_name=True)
    host: dict[str, Any] = {"name": "h", "domains": ["*"]}
    host["routes"] = [{"match": said, "direct_response": {"status": 200}}]
    http = typed(
        _HTTP,
        stat_prefix="h",
        route_config={"virtual_hosts": [host]},
        http_filters=[{"name": "router", "typed_config": typed(_ROUTER)}],
    )
    listener = {
        "name": "l",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": http}]}],
    }
    bootstrap = {**bootstraps.EGRESS, "static_resources": {"listeners": [listener]}}
    validate(binary.locate().path, json.dumps(bootstrap))
