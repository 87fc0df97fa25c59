"""Sidecar to nothing: it says what is done anyway."""

from outgate.model.declarations import Declarations, Source
from outgate.resources.istio.sidecars import Sidecar


def sidecar(resource: Sidecar) -> Declarations:
    """Return what a Sidecar declares."""
    meta = resource.metadata
    source = Source("Sidecar", meta.namespace, meta.name)
    return Declarations(source, resource.location, meta.creation_timestamp)
