"""The metadata that every Kubernetes object has, and the identity that it gives a document."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.documents import Document
from outgate.resources.names import Flaw, dns_label, label_value, qualified_name, service_name
from outgate.resources.paths import child

# k8s.io/apimachinery/pkg/api/validation: the keys and values of all annotations, in bytes.
_ANNOTATION_BYTES = 256 * 1024

# k8s.io/apimachinery/pkg/apis/meta/v1.ObjectMeta, with what older API servers still write.
_FIELDS = frozenset(
    (
        "name",
        "generateName",
        "namespace",
        "selfLink",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "labels",
        "annotations",
        "ownerReferences",
        "finalizers",
        "managedFields",
        "clusterName",
    )
)


@dataclass(frozen=True, slots=True)
class ObjectMeta:
    """Text fields are empty where the manifest does not say; `creation_timestamp` is RFC 3339."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    uid: str = ""
    creation_timestamp: str = ""
    resource_version: str = ""


def parse_metadata(
    check: Checker,
    document: Document,
    default_namespace: str,
    form: Callable[[str], Flaw | None] = service_name,
) -> ObjectMeta:
    """Metadata of an object whose name is of a form, as a Service has; what is wrong with it is noted in `check`."""
    metadata = check.mapping(document.value, "", "metadata") or {}
    check.unknown_fields(metadata, "metadata", _FIELDS)
    name = check.string(metadata, "metadata", "name")
    if name:
        check.flaw("metadata.name", form(name))
    elif metadata.get("name") in (None, "") and not check.failed_at("metadata"):
        hint = "the name that applications call" if form is service_name else ""
        check.error("metadata.name", "is required", hint)
    namespace = check.string(metadata, "metadata", "namespace")
    if namespace:
        check.flaw("metadata.namespace", dns_label(namespace))
    return ObjectMeta(
        namespace=namespace or default_namespace,
        name=name or "",
        labels=parse_labels(check, metadata, "metadata", "labels"),
        annotations=_annotations(check, metadata),
        uid=check.string(metadata, "metadata", "uid") or "",
        creation_timestamp=check.string(metadata, "metadata", "creationTimestamp") or "",
        resource_version=check.string(metadata, "metadata", "resourceVersion") or "",
    )


def parse_labels(
    check: Checker, parent: Mapping[str, Any], path: str, key: str
) -> Mapping[str, str]:
    """Labels, or a selector of labels, in field `key` of `parent`, which stands at `path`."""
    labels = check.strings(parent, path, key)
    for name, value in labels.items():
        here = child(child(path, key), name)
        check.flaw(here, qualified_name(name))
        check.flaw(here, label_value(value))
    return labels


def identity(document: Document, default_namespace: str) -> tuple[str, str] | None:
    """Namespace and name, valid or not; None where there is no name."""
    metadata = document.value.get("metadata")
    if not isinstance(metadata, dict):
        return None
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if not isinstance(name, str) or not name:
        return None
    return namespace if isinstance(namespace, str) and namespace else default_namespace, name


def _annotations(check: Checker, metadata: Mapping[str, Any]) -> Mapping[str, str]:
    annotations = check.strings(metadata, "metadata", "annotations")
    for name in annotations:
        # Kubernetes checks annotations' keys without regard to case.
        check.flaw(child("metadata.annotations", name), qualified_name(name.lower()))
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > _ANNOTATION_BYTES:
        message = f"the annotations have {size} bytes, at most {_ANNOTATION_BYTES} are allowed"
        check.error("metadata.annotations", message)
    return annotations
