"""Shows a snapshot as plain values, for `translate` and its tests: every message opened up, down to the innermost.

Secrets are never among them: only the types that are named here are shown.
"""

import json
from typing import Any

from google.protobuf import any_pb2, json_format

from outgate.xds.building import CLUSTER, LISTENER, PREFIX, SCOPED_ROUTE
from outgate.xds.snapshot import Resource, Snapshot

_SHOWN = (("clusters", CLUSTER), ("listeners", LISTENER), ("scoped_routes", SCOPED_ROUTE))


def render(snapshot: Snapshot) -> dict[str, list[dict[str, Any]]]:
    """Return clusters, listeners and scoped routes, each sorted by name, with the field names of Envoy's documentation.

    Those that Envoy gets only when it asks are under `clusters_on_demand`.
    """
    shown: dict[str, list[dict[str, Any]]] = {}
    for title, type_url in _SHOWN:
        found = snapshot.of_type(type_url)
        for name in sorted(found):
            key = f"{title}_on_demand" if found[name].on_demand else title
            shown.setdefault(key, []).append(decode(found[name]))
    return shown


def decode(resource: Resource) -> dict[str, Any]:
    """Return one resource in protobuf's JSON form, without the type of its own that an Any has."""
    if not resource.type_url.startswith(PREFIX):
        raise ValueError(f"{resource.type_url} is not a type of a message")
    wrapped = any_pb2.Any(type_url=resource.type_url, value=resource.value)
    # Through text, as the library's own values are not all plain dicts.
    text = json_format.MessageToJson(wrapped, preserving_proto_field_name=True)
    form: dict[str, Any] = json.loads(text)
    del form["@type"]
    return form
