"""Shows a snapshot as plain values: every message opened up, down to the innermost.

For `translate` only the types that are named here are shown; where secrets are shown, private keys are not.
"""

import json
from dataclasses import replace
from typing import Any

from google.protobuf import any_pb2, json_format

from outgate.xds import extensions as ext
from outgate.xds.building import CLUSTER, EXTENSION, LISTENER, PREFIX, SCOPED_ROUTE
from outgate.xds.secrets import SECRET
from outgate.xds.snapshot import Resource, Snapshot

REDACTED = "[redacted]"

_SHOWN = (
    ("clusters", CLUSTER),
    ("listeners", LISTENER),
    ("filters", EXTENSION),
    ("scoped_routes", SCOPED_ROUTE),
)


def render(snapshot: Snapshot) -> dict[str, list[dict[str, Any]]]:
    """Return clusters, listeners, filters of their own and scoped routes, each sorted by name.

    Fields have the names of Envoy's documentation.

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


def redacted(resource: Resource) -> dict[str, Any]:
    """Return one resource as `decode` does, of any type, with what must stay secret left out."""
    if resource.type_url != SECRET:
        return decode(resource)
    secret = ext.secret.Secret.FromString(resource.value)
    # Taken out before anything is written as text, wherever a key may stand.
    kept = ext.secret.Secret(name=secret.name)
    held = secret.WhichOneof("type")
    if held == "tls_certificate":
        chain = secret.tls_certificate.certificate_chain.inline_bytes
        kept.tls_certificate.certificate_chain.inline_string = chain.decode()
        kept.tls_certificate.private_key.inline_string = REDACTED
    elif held == "validation_context":
        roots = secret.validation_context.trusted_ca.inline_bytes
        kept.validation_context.trusted_ca.inline_string = roots.decode()
    value = kept.SerializeToString(deterministic=True)
    return decode(replace(resource, value=value))
