"""Istio's `Sidecar`: Outgate does what its REGISTRY_ONLY means, always; what else it says is checked and said."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.documents import Document
from outgate.resources.istio.fields import check_fields
from outgate.resources.istio.reading import texts, version
from outgate.resources.istio.tables import SIDECAR
from outgate.resources.metadata import ObjectMeta, parse_labels, parse_metadata
from outgate.resources.names import dns_subdomain
from outgate.resources.paths import child, item, quote
from outgate.resources.problems import Location, Problem

_TOP_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
_MODES = ("REGISTRY_ONLY", "ALLOW_ANY")
_CAPTURES = ("DEFAULT", "IPTABLES", "NONE")
_EVERYTHING = "*/*"


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A valid Sidecar, which declares nothing: it says what is done anyway."""

    metadata: ObjectMeta
    location: Location


def parse_sidecar(
    document: Document, default_namespace: str
) -> tuple[Sidecar | None, tuple[Problem, ...]]:
    """Read the Sidecar in `document`, None if anything in it is an error, and all its problems."""
    check = Checker(document)
    check.unknown_fields(document.value, "", _TOP_FIELDS)
    version(check, document.value, "Sidecar")
    metadata = parse_metadata(check, document, default_namespace, dns_subdomain)
    spec = check.mapping(document.value, "", "spec") or {}
    check_fields(check, spec, "spec", SIDECAR)
    selector = check.mapping(spec, "spec", "workloadSelector") or {}
    parse_labels(check, selector, "spec.workloadSelector", "labels")
    policy = check.mapping(spec, "spec", "outboundTrafficPolicy") or {}
    here = "spec.outboundTrafficPolicy"
    if check.choice(policy, here, "mode", _MODES) == "ALLOW_ANY":
        message = "what nobody declares is denied, always"
        hint = "write REGISTRY_ONLY, and declare what is called in ServiceEntries"
        check.error(child(here, "mode"), message, hint)
    for index, entry in check.items(spec, "spec", "egress"):
        _check_egress(check, entry, item("spec.egress", index))
    if check.failed:
        return None, check.problems
    return Sidecar(metadata, document.location), check.problems


def _check_egress(check: Checker, entry: Mapping[str, Any], path: str) -> None:
    if check.choice(entry, path, "captureMode", _CAPTURES) == "NONE":
        message = "has no effect: all calls are captured"
        check.warning(child(path, "captureMode"), message)
    hosts = texts(check, entry, path, "hosts")
    here = child(path, "hosts")
    for index, text in enumerate(hosts):
        namespace, slash, name = text.partition("/")
        if not slash or not namespace or not name:
            message = f"{quote(text)} is not NAMESPACE/HOST"
            check.error(item(here, index), message, "for example ./* or */api.example.com")
    if hosts and _EVERYTHING not in hosts and not check.failed:
        message = "this list keeps no call from anything else that is declared"
        check.error(here, message, "write an EgressPolicy that allows these, and */* here")
