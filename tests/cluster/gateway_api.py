"""The Gateway API's published definitions: from the Go module, at the version that `go/gateway-api/go.mod` pins."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from tests.cluster import toolchain
from tests.cluster.commands import run

MODULE = "sigs.k8s.io/gateway-api"
KINDS = {
    "gateway.networking.k8s.io": (
        "httproutes",
        "grpcroutes",
        "tlsroutes",
        "tcproutes",
        "backendtlspolicies",
        "referencegrants",
    ),
    "gateway.networking.x-k8s.io": ("xbackends",),
}
"""By group, the kinds that Outgate reads."""


@cache
def folder() -> Path:
    """Return where the module is; the first time it is fetched."""
    go = toolchain.find(lambda _: None)
    said = run(
        *(go, "mod", "download", "-json", MODULE),
        seconds=300,
        folder=toolchain.SOURCES / "gateway-api",
        environment=toolchain.environment(),
    )
    return Path(json.loads(said)["Dir"])


def paths() -> list[Path]:
    """Return the definitions of the kinds that Outgate reads, of the experimental channel."""
    base = folder() / "config" / "crd" / "experimental"
    return [base / f"{group}_{name}.yaml" for group, names in KINDS.items() for name in names]


@cache
def schemas() -> dict[str, Any]:
    """Return the schema of `spec` of each kind, in the version that is stored."""
    found = {}
    for path in paths():
        definition = yaml.safe_load(path.read_text())
        (stored,) = (each for each in definition["spec"]["versions"] if each["storage"])
        properties = stored["schema"]["openAPIV3Schema"]["properties"]
        found[definition["spec"]["names"]["kind"]] = properties["spec"]
    return found
