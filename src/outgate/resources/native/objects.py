"""What the project's own kinds have in common: group, version, names, and the frame around `spec`."""

from dataclasses import dataclass
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.documents import Document
from outgate.resources.metadata import ObjectMeta, parse_metadata
from outgate.resources.names import dns_subdomain
from outgate.resources.paths import quote
from outgate.resources.reading import defaulted, read
from outgate.resources.schemas import Fields

GROUP, VERSION = "outgate.dev", "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
_TOP_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")

Column = tuple[str, str, int]
"""A printer column: its title, the JSONPath of its value, and 1 if it is for `-o wide` only."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of ours; `short` are short names."""

    name: str
    plural: str
    short: tuple[str, ...]
    doc: str
    spec: Fields
    columns: tuple[Column, ...]


def read_object(
    check: Checker, document: Document, kind: Kind, default_namespace: str
) -> tuple[ObjectMeta, Any]:
    """Return metadata, and the spec as it was read; of no use where `check` has an error."""
    for key in document.value:
        if key not in _TOP_FIELDS:
            check.error(
                key, "is not a field that there is here", "what a resource says is below spec"
            )
    version = document.value.get("apiVersion")
    if version != API_VERSION:
        check.error("apiVersion", f"{quote(version)} is not allowed: {kind.name} has {API_VERSION}")
    metadata = parse_metadata(check, document, default_namespace, dns_subdomain)
    if "spec" not in document.value:
        check.error("spec", f"is required: it says what the {kind.name} is")
        return metadata, None
    spec = defaulted(kind.spec, document.value["spec"])
    return metadata, read(check, kind.spec, spec, "spec")
