"""BackendTLSPolicy (gateway.networking.k8s.io/v1): the egress opens TLS to what a Service stands for."""

from dataclasses import dataclass, field

from outgate.resources.checks import Checker
from outgate.resources.documents import Document
from outgate.resources.gateway import reading, references
from outgate.resources.gateway.reading import GROUP
from outgate.resources.gateway.references import XBACKEND, PolicyTarget
from outgate.resources.gateway.validations import Validation, validation
from outgate.resources.metadata import ObjectMeta
from outgate.resources.paths import child
from outgate.resources.problems import Location, Problem

FIELDS = frozenset(("targetRefs", "validation", "options"))


@dataclass(frozen=True, slots=True)
class BackendTLSPolicy:
    """A valid BackendTLSPolicy."""

    metadata: ObjectMeta
    targets: tuple[PolicyTarget, ...]
    validation: Validation
    location: Location = field(default_factory=Location)


def parse_backend_tls_policy(
    document: Document, default_namespace: str
) -> tuple[BackendTLSPolicy | None, tuple[Problem, ...]]:
    """Read the BackendTLSPolicy in `document`, None if anything in it is an error, and all its problems."""
    check = Checker(document)
    versions = (f"{GROUP}/v1", f"{GROUP}/v1alpha3")
    metadata, spec = reading.head(check, document, default_namespace, versions)
    if spec is None:
        return None, check.problems
    check.unknown_fields(spec, "spec", FIELDS)
    reading.unsupported(check, spec, "spec", {"options": "remove them"})
    targets = references.policy_targets(check, spec, metadata.namespace)
    if not spec.get("targetRefs"):
        check.error("spec.targetRefs", "is required: at least one Service")
    for target in targets:
        if (target.object.group, target.object.kind) == XBACKEND:
            # GEP-4488: not both, so that there is one place to look at.
            message = "an XBackend cannot be the target: it says its TLS itself"
            check.warning(child(target.path, "kind"), message, "write spec.tls in the XBackend")
    made = validation(check, spec, "spec", metadata.namespace)
    if spec.get("validation") is None:
        check.error("spec.validation", "is required: how the certificate is verified")
    if check.failed or made is None:
        return None, check.problems
    return BackendTLSPolicy(metadata, targets, made, document.location), check.problems
