"""XBackend (gateway.networking.x-k8s.io/v1alpha1, GEP-4488): an external destination by its DNS name."""

import enum
from dataclasses import dataclass, field

from outgate.resources.checks import Checker
from outgate.resources.documents import Document
from outgate.resources.gateway import reading, references
from outgate.resources.gateway.reading import X_GROUP, Fields
from outgate.resources.gateway.references import Object
from outgate.resources.gateway.validations import Validation, validation
from outgate.resources.hosts import external_name
from outgate.resources.metadata import ObjectMeta
from outgate.resources.names import dns_label
from outgate.resources.paths import child
from outgate.resources.problems import Location, Problem, Severity

TLS_FIELDS = ("mode", "clientCertificateRef", "validation")
FIELDS = frozenset(("type", "port", "externalHostname", "protocol", "tls"))
_PROTOCOLS = ("HTTP", "HTTP2", "HTTP11", "H2C", "GRPC", "TCP", "MCP")


class TLSMode(enum.StrEnum):
    """Whether the egress opens TLS, and with a certificate of its own."""

    NONE = "None"
    SERVER_ONLY = "ServerOnly"
    CLIENT_AND_SERVER = "ClientAndServer"


@dataclass(frozen=True, slots=True)
class BackendTLS:
    """`client` is the Secret with `tls.crt` and `tls.key`, where the mode is ClientAndServer."""

    mode: TLSMode
    validation: Validation | None = None
    client: Object | None = None


@dataclass(frozen=True, slots=True)
class XBackend:
    """A valid XBackend; `protocol` is empty where its routes decide, `port_name` where the port has none."""

    metadata: ObjectMeta
    host: str
    port: int
    port_name: str = ""
    protocol: str = ""
    tls: BackendTLS | None = None
    location: Location = field(default_factory=Location)

    @property
    def opens_tls(self) -> bool:
        """Whether the egress opens TLS."""
        return self.tls is not None and self.tls.mode is not TLSMode.NONE


def parse_xbackend(
    document: Document, default_namespace: str
) -> tuple[XBackend | None, tuple[Problem, ...]]:
    """Read the XBackend in `document`, None if anything in it is an error, and all its problems."""
    check = Checker(document)
    versions = (f"{X_GROUP}/v1alpha1",)
    metadata, spec = reading.head(check, document, default_namespace, versions)
    if spec is None:
        return None, check.problems
    check.unknown_fields(spec, "spec", FIELDS)
    if check.choice(spec, "spec", "type", ("ExternalHostname",)) is None and not spec.get("type"):
        check.error("spec.type", "is required", "write ExternalHostname")
    host = _host(check, spec)
    port, name = _port(check, spec)
    protocol = check.choice(spec, "spec", "protocol", _PROTOCOLS)
    tls = _tls(check, spec, metadata.namespace)
    if tls is None and spec.get("tls") is None and protocol not in (None, "TCP"):
        message = "is not there: calls leave unencrypted"
        check.warning("spec.tls", message, "write tls: {mode: None} if this is meant")
    if check.failed or port is None:
        return None, check.problems
    made = XBackend(metadata, host, port, name, protocol or "", tls, document.location)
    return made, check.problems


def _host(check: Checker, spec: Fields) -> str:
    given, path = check.mapping(spec, "spec", "externalHostname"), "spec.externalHostname"
    if given is None:
        hint = "for example {hostname: api.example.com}"
        check.error(path, "is required for type ExternalHostname", hint)
        return ""
    check.unknown_fields(given, path, ("hostname",))
    text = reading.required(check, given, path, "hostname")
    if text is None:
        return ""
    host, flaw = external_name(text)
    at = child(path, "hostname")
    if flaw is not None and flaw.severity is Severity.WARNING:
        check.error(at, flaw.message, "refer to that Service instead")
    elif not check.flaw(at, flaw) and "." not in host:
        check.error(at, "must have a dot, as names of hosts outside do")
    return host


def _port(check: Checker, spec: Fields) -> tuple[int | None, str]:
    given = check.mapping(spec, "spec", "port")
    if given is None:
        if spec.get("port") is None:
            check.error("spec.port", "is required", "for example {port: 443}")
        return None, ""
    check.unknown_fields(given, "spec.port", ("name", "port"))
    name = check.string(given, "spec.port", "name") or ""
    if name:
        check.flaw("spec.port.name", dns_label(name))
    if given.get("port") is None:
        check.error("spec.port.port", "is required")
    return reading.port(check, given, "spec.port"), name


def _tls(check: Checker, spec: Fields, namespace: str) -> BackendTLS | None:
    given, path = check.mapping(spec, "spec", "tls"), "spec.tls"
    if given is None:
        return None
    check.unknown_fields(given, path, TLS_FIELDS)
    mode = check.choice(given, path, "mode", tuple(TLSMode))
    if mode is None:
        if not given.get("mode"):
            check.error("spec.tls.mode", "is required", "write ServerOnly")
        return None
    client = _client(check, given, mode, namespace)
    # The API server keeps an empty one where none was written.
    said = {**given, "validation": given.get("validation") or None}
    return BackendTLS(TLSMode(mode), validation(check, said, path, namespace), client)


def _client(check: Checker, given: Fields, mode: str, namespace: str) -> Object | None:
    path = "spec.tls.clientCertificateRef"
    entry = check.mapping(given, "spec.tls", "clientCertificateRef")
    if (mode == TLSMode.CLIENT_AND_SERVER) != (entry is not None):
        check.error(path, "must be there if the mode is ClientAndServer, and not otherwise")
    if entry is None:
        return None
    meant = references.local(check, entry, path, namespace, ("", "Secret"))
    if meant is None:
        return None
    if (meant.group, meant.kind) != ("", "Secret"):
        check.error(child(path, "kind"), "must be a Secret, with tls.crt and tls.key")
    if meant.namespace != namespace:
        message = "must be in the XBackend's own namespace, so that nobody else's key is used"
        check.error(child(path, "namespace"), message)
    return meant
