"""Istio's published definitions: from the Go module, at the version that `go/istio-api/go.mod` pins."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from tests.cluster import toolchain
from tests.cluster.commands import run

MODULE = "istio.io/api"
KINDS = ("DestinationRule", "ServiceEntry", "Sidecar", "VirtualService")
"""The kinds that Outgate reads."""


@cache
def folder() -> Path:
    """Return where the module is; the first time it is fetched."""
    go = toolchain.find(lambda _: None)
    said = run(
        *(go, "mod", "download", "-json", MODULE),
        seconds=300,
        folder=toolchain.SOURCES / "istio-api",
        environment=toolchain.environment(),
    )
    return Path(json.loads(said)["Dir"])


@cache
def definitions() -> tuple[dict[str, Any], ...]:
    """Return the definitions of the kinds that Outgate reads."""
    text = (folder() / "kubernetes" / "customresourcedefinitions.gen.yaml").read_text()
    every = (each for each in yaml.safe_load_all(text) if each)
    return tuple(each for each in every if each["spec"]["names"]["kind"] in KINDS)


def fields() -> Iterator[str]:
    """Yield each field below `spec`: kind, path (`[]` for lists, `{}` for mappings), and its type or values."""
    for definition in definitions():
        kind = definition["spec"]["names"]["kind"]
        (version,) = (each for each in definition["spec"]["versions"] if each["name"] == "v1")
        spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        for path, form in _below(spec, ""):
            yield f"{kind} {path} {form}"


def _below(schema: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    more = schema.get("additionalProperties")
    if schema.get("type") == "array":
        yield from _below(schema["items"], f"{path}[]")
    elif isinstance(more, dict):
        yield from _below(more, f"{path}{{}}")
    elif properties := schema.get("properties"):
        for key, inner in sorted(properties.items()):
            yield from _below(inner, f"{path}.{key}" if path else key)
    else:
        yield path, ",".join(schema.get("enum", ())) or schema.get("type", "integer")
