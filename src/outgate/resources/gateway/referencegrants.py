"""ReferenceGrant (gateway.networking.k8s.io/v1beta1): what other namespaces may refer to in this one."""

from dataclasses import dataclass, field

from outgate.resources.checks import Checker
from outgate.resources.documents import Document
from outgate.resources.gateway import reading
from outgate.resources.gateway.reading import GROUP, Fields
from outgate.resources.gateway.routes import each
from outgate.resources.metadata import ObjectMeta
from outgate.resources.names import dns_label, dns_subdomain
from outgate.resources.paths import child
from outgate.resources.problems import Location, Problem

FIELDS = frozenset(("from", "to"))


@dataclass(frozen=True, slots=True)
class From:
    """Who may refer: objects of a kind, in a namespace."""

    group: str
    kind: str
    namespace: str


@dataclass(frozen=True, slots=True)
class To:
    """What may be referred to: objects of a kind, or the one of a name."""

    group: str
    kind: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class ReferenceGrant:
    """A valid ReferenceGrant: each of `sources` may refer to each of `targets`."""

    metadata: ObjectMeta
    sources: tuple[From, ...]
    targets: tuple[To, ...]
    location: Location = field(default_factory=Location)


def parse_reference_grant(
    document: Document, default_namespace: str
) -> tuple[ReferenceGrant | None, tuple[Problem, ...]]:
    """Read the ReferenceGrant in `document`, None if anything in it is an error, and all its problems."""
    check = Checker(document)
    versions = tuple(f"{GROUP}/{version}" for version in ("v1", "v1beta1", "v1alpha2"))
    metadata, spec = reading.head(check, document, default_namespace, versions)
    if spec is None:
        return None, check.problems
    check.unknown_fields(spec, "spec", FIELDS)
    for key in ("from", "to"):
        if not spec.get(key):
            check.error(child("spec", key), "is required: at least one item")
    sources = each(check, spec, "spec", "from", lambda one, at: _from(check, one, at))
    targets = each(check, spec, "spec", "to", lambda one, at: _to(check, one, at))
    if check.failed:
        return None, check.problems
    return ReferenceGrant(metadata, sources, targets, document.location), check.problems


def _from(check: Checker, entry: Fields, path: str) -> From | None:
    check.unknown_fields(entry, path, ("group", "kind", "namespace"))
    namespace = reading.required(check, entry, path, "namespace")
    if namespace:
        check.flaw(child(path, "namespace"), dns_label(namespace))
    found = _kind(check, entry, path)
    return From(*found, namespace) if found and namespace else None


def _to(check: Checker, entry: Fields, path: str) -> To | None:
    check.unknown_fields(entry, path, ("group", "kind", "name"))
    name = check.string(entry, path, "name") or ""
    if name:
        check.flaw(child(path, "name"), dns_subdomain(name))
    found = _kind(check, entry, path)
    return To(*found, name) if found else None


def _kind(check: Checker, entry: Fields, path: str) -> tuple[str, str] | None:
    group, kind = check.string(entry, path, "group"), reading.required(check, entry, path, "kind")
    if entry.get("group") is None:
        check.error(child(path, "group"), "is required", 'write "" for Services')
    return None if group is None or kind is None else (group, kind)
