"""TLS that the egress opens, as one writes it."""

from dataclasses import dataclass

from outgate.resources.native.forms import FILE, NAME
from outgate.resources.native.references import MaterialRef, SecretRef, material, secret
from outgate.resources.schemas import (
    Choice,
    Field,
    Fields,
    Flag,
    Items,
    Rule,
    Text,
    needs,
    one_of,
)

_VERSIONS = {"1.2": "1.2", "1.3": "1.3"}
CIPHERS = (
    *(
        f"ECDHE-{key}-{cipher}"
        for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
        for key in ("ECDSA", "RSA")
    ),
    *(
        f"ECDHE-{key}-{cipher}"
        for cipher in ("AES128-SHA", "AES256-SHA")
        for key in ("ECDSA", "RSA")
    ),
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
)
"""What Envoy's TLS knows, less what needs a shared key and 3DES; it refuses a destination with any other."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A Secret of type kubernetes.io/tls, or two files."""

    secret: SecretRef | None = None
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class TlsSpec:
    """TLS as written; what it refers to is of the resource's own namespace."""

    sni: str = ""
    names: tuple[str, ...] = ()
    ca: MaterialRef | None = None
    client: ClientCertificate | None = None
    minimum: str = ""
    maximum: str = ""
    ciphers: tuple[str, ...] = ()
    skip_verify: bool = False


_TLS_SECRET = Fields(
    (
        Field(
            "name",
            secret().fields[0].schema,
            "Name of a Secret of type kubernetes.io/tls.",
            required=True,
        ),
    ),
    SecretRef,
)
CLIENT_CERTIFICATE = Fields(
    (
        Field(
            "secretRef",
            _TLS_SECRET,
            "A Secret with `tls.crt` and `tls.key`, in this namespace.",
            "secret",
        ),
        Field(
            "certificateFile",
            Text(FILE),
            "PEM file of the certificate and its chain.",
            "certificate",
            local=True,
        ),
        Field("keyFile", Text(FILE), "PEM file of its private key.", "key", local=True),
    ),
    ClientCertificate,
    (
        one_of("secretRef", "certificateFile"),
        needs("certificateFile", "keyFile"),
        needs("keyFile", "certificateFile"),
    ),
)
TLS = Fields(
    (
        Field("sni", Text(NAME), "Server name to ask for; the host's own if it is left out."),
        Field(
            "subjectAltNames",
            Items(Text(longest=253), 16, 1, "."),
            "Names of which the certificate must have one; the host's own if they are left out.",
            "names",
        ),
        Field("ca", material("ca.crt"), "CA certificates (PEM) to trust instead of the system's."),
        Field(
            "clientCertificate",
            CLIENT_CERTIFICATE,
            "The certificate to show to the server (mutual TLS).",
            "client",
        ),
        Field("minVersion", Choice(_VERSIONS), "Lowest version of TLS.", "minimum"),
        Field("maxVersion", Choice(_VERSIONS), "Highest version of TLS.", "maximum"),
        Field(
            "ciphers",
            Items(Choice({each: each for each in CIPHERS}), 32, 1, "."),
            "Ciphers for TLS 1.2, by OpenSSL's names; in TLS 1.3 there is no choice.",
        ),
        Field(
            "insecureSkipVerify",
            Flag(),
            "Accept any certificate, from anybody who is in between. For a test against a server of your own.",
            "skip_verify",
        ),
    ),
    TlsSpec,
    (
        Rule(
            lambda tls: not (tls.get("minVersion") == "1.3" and tls.get("maxVersion") == "1.2"),
            "!(has(self.minVersion) && has(self.maxVersion) && self.minVersion == '1.3' && self.maxVersion == '1.2')",
            "is lower than minVersion",
            "write maxVersion: '1.3', or remove it",
            "maxVersion",
        ),
    ),
)
