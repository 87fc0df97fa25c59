"""That the fields which Outgate knows are those of the published definitions, no more and no fewer."""

from collections.abc import Collection
from typing import Any

import pytest
from tests.cluster import gateway_api

from outgate.resources.gateway import (
    backendtlspolicies,
    filters,
    grpcroutes,
    httproutes,
    matches,
    referencegrants,
    references,
    tcproutes,
    tlsroutes,
    validations,
    xbackends,
)

pytestmark = pytest.mark.cluster

# Field lists by kind, and by the place of the object that has them: `[]` is an item of a list.
FIELDS: dict[str, dict[str, Collection[str]]] = {
    "HTTPRoute": {
        "": httproutes.FIELDS,
        "parentRefs[]": references.PARENT_FIELDS,
        "rules[]": httproutes.RULE_FIELDS,
        "rules[].matches[]": matches.HTTP_FIELDS,
        "rules[].filters[]": {"type", *filters.TYPES.values()},
        "rules[].backendRefs[]": {*references.BACKEND_FIELDS, "filters"},
    },
    "GRPCRoute": {
        "": grpcroutes.FIELDS,
        "rules[]": grpcroutes.RULE_FIELDS,
        "rules[].matches[]": matches.GRPC_FIELDS,
        "rules[].filters[]": {"type", *(filters.TYPES[each] for each in filters.GRPC_TYPES)},
    },
    "TLSRoute": {"": tlsroutes.FIELDS, "rules[].backendRefs[]": references.BACKEND_FIELDS},
    "TCPRoute": {"": tcproutes.FIELDS, "rules[]": {"name", "backendRefs"}},
    "BackendTLSPolicy": {
        "": backendtlspolicies.FIELDS,
        "targetRefs[]": references.TARGET_FIELDS,
        "validation": validations.FIELDS,
    },
    "ReferenceGrant": {"": referencegrants.FIELDS},
    "XBackend": {
        "": xbackends.FIELDS,
        "tls": xbackends.TLS_FIELDS,
        "tls.validation": validations.FIELDS,
    },
}


def properties(schema: dict[str, Any], place: str) -> set[str]:
    for step in filter(None, place.split(".")):
        schema = schema["properties"][step.removesuffix("[]")]
        schema = schema["items"] if step.endswith("[]") else schema
    return set(schema["properties"])


@pytest.mark.parametrize(
    ("kind", "place"), [(kind, place) for kind, places in FIELDS.items() for place in places]
)
def test_fields_are_those_that_are_published(kind: str, place: str) -> None:
    assert set(FIELDS[kind][place]) == properties(gateway_api.schemas()[kind], place)
