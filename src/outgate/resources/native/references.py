"""What text can stand for: a Secret's entry, or a file; and another destination."""

from dataclasses import dataclass

from outgate.resources.native.forms import FILE, LABEL, NAME, OBJECT_NAME, SECRET_KEY
from outgate.resources.native.numbers import PORT
from outgate.resources.schemas import Field, Fields, Items, Text, one_of
from outgate.traffic.references import FileKey, Material, SecretKey, Target


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A Secret of the resource's own namespace; where `key` is empty, those that its type has are meant."""

    name: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class MaterialRef:
    """Where bytes come from: exactly one of both."""

    secret: SecretRef | None = None
    file: str = ""

    def material(self, namespace: str) -> Material:
        """Return it for a resource of a namespace."""
        if self.secret is None:
            return FileKey(self.file)
        return SecretKey(namespace, self.secret.name, self.secret.key)


def secret(key: str = "") -> Fields:
    """Return a reference to an entry of a Secret; where `key` is given, that is the default."""
    name = Field(
        "name",
        Text(OBJECT_NAME),
        "Name of the Secret, in this resource's own namespace.",
        required=True,
    )
    entry = Field(
        "key",
        Text(SECRET_KEY),
        "Its entry, such as `token`.",
        required=not key,
        default=key or None,
        example="key: token",
    )
    return Fields((name, entry), SecretRef)


def secret_or_file(key: str = "") -> tuple[Field, ...]:
    """Return the fields of which one says where bytes come from."""
    return (
        Field("secretRef", secret(key), "An entry of a Secret of this namespace.", "secret"),
        Field("file", Text(FILE), "A file on this machine, read anew when it changes.", local=True),
    )


def material(key: str = "") -> Fields:
    """Return what says where bytes come from."""
    return Fields(secret_or_file(key), MaterialRef, (one_of("secretRef", "file"),))


@dataclass(frozen=True, slots=True)
class DestinationRef:
    """Another destination: a `host`, or a `service` (in `namespace`, empty for the own); `port` 0: the one called."""

    host: str = ""
    service: str = ""
    namespace: str = ""
    port: int = 0

    def target(self, namespace: str) -> Target:
        """Return it for a resource of a namespace."""
        if self.host:
            return Target(self.namespace, self.host, self.port)
        return Target(self.namespace or namespace, self.service, self.port)


DESTINATION_FIELDS = (
    Field("host", Text(NAME), "Host of an ExternalService that may be seen from here."),
    Field("service", Text(LABEL), "Name of a Service of type ExternalName."),
    Field("namespace", Text(LABEL), "Namespace of the destination; the own one if it is left out."),
    Field("port", PORT, "Port of the destination; the one that was called if it is left out."),
)
DESTINATION = Fields(DESTINATION_FIELDS, DestinationRef, (one_of("host", "service"),))
DESTINATIONS = Items(DESTINATION, most=8)
