"""The shape that all of our objects in a cluster share: names, namespace and labels."""

from typing import Any

from outgate.kube import naming

Manifest = dict[str, Any]

PART = {"app.kubernetes.io/part-of": "outgate"}
"""A label of everything that `outgate install` makes."""


def make(version: str, kind: str, name: str, **fields: Any) -> Manifest:
    """Return an object in our namespace, or in none if its kind is in none."""
    placed = not kind.startswith(("Cluster", "Mutating", "Validating"))
    namespace = {"namespace": naming.SYSTEM_NAMESPACE} if placed else {}
    metadata = {"name": name, **namespace, "labels": {**PART, "app.kubernetes.io/name": name}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}
