"""Kubernetes `Secret` and `ConfigMap` (v1): where resources take credentials and certificates from.

No message ever says what is in one.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.documents import Document
from outgate.resources.metadata import ObjectMeta, parse_metadata
from outgate.resources.names import dns_subdomain
from outgate.resources.paths import child, quote
from outgate.resources.problems import Location, Problem

_COMMON = frozenset(("apiVersion", "kind", "metadata", "data", "immutable"))
_MOST_BYTES = 1 << 20
"""k8s.io/api/core/v1.MaxSecretSize: of all entries together."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A valid Secret; `data` are its entries, decoded."""

    metadata: ObjectMeta
    data: Mapping[str, bytes] = field(repr=False)
    location: Location


@dataclass(frozen=True, slots=True)
class ConfigMap:
    """A valid ConfigMap; `data` are its entries, as bytes."""

    metadata: ObjectMeta
    data: Mapping[str, bytes] = field(repr=False)
    location: Location


def parse_secret(
    document: Document, default_namespace: str
) -> tuple[Secret | None, tuple[Problem, ...]]:
    """Read a Secret, None if anything in it is an error, and all its problems."""
    check = Checker(document)
    check.unknown_fields(document.value, "", _COMMON | {"stringData", "type"})
    metadata = _metadata(check, document, default_namespace)
    check.string(document.value, "", "type")
    data = _decoded(check, check.strings(document.value, "", "data"), "data")
    plain = check.strings(document.value, "", "stringData")
    data |= {key: value.encode() for key, value in plain.items()}
    _check_size(check, data)
    made = None if check.failed else Secret(metadata, data, document.location)
    return made, check.problems


def parse_config_map(
    document: Document, default_namespace: str
) -> tuple[ConfigMap | None, tuple[Problem, ...]]:
    """Read a ConfigMap, None if anything in it is an error, and all its problems."""
    check = Checker(document)
    check.unknown_fields(document.value, "", _COMMON | {"binaryData"})
    metadata = _metadata(check, document, default_namespace)
    data = _decoded(check, check.strings(document.value, "", "binaryData"), "binaryData")
    plain = check.strings(document.value, "", "data")
    data |= {key: value.encode() for key, value in plain.items()}
    _check_size(check, data)
    made = None if check.failed else ConfigMap(metadata, data, document.location)
    return made, check.problems


def _metadata(check: Checker, document: Document, default_namespace: str) -> ObjectMeta:
    version: Any = document.value.get("apiVersion")
    if version != "v1":
        kind = document.value.get("kind")
        check.error("apiVersion", f"{quote(version)} is not allowed: a {kind} has v1")
    return parse_metadata(check, document, default_namespace, dns_subdomain)


def _decoded(check: Checker, entries: Mapping[str, str], path: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for key, value in entries.items():
        try:
            found[key] = base64.b64decode("".join(value.split()), validate=True)
        except (binascii.Error, ValueError):
            hint = "write the text itself under stringData" if path == "data" else ""
            check.error(child(path, key), "is not base64", hint)
    return found


def _check_size(check: Checker, data: Mapping[str, bytes]) -> None:
    size = sum(map(len, data.values()))
    if size > _MOST_BYTES:
        check.error("data", f"the entries have {size} bytes, at most {_MOST_BYTES} are allowed")
