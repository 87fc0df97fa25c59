"""How the server's certificate is verified: `validation` of BackendTLSPolicies and XBackends."""

from dataclasses import dataclass

from outgate.resources.checks import Checker
from outgate.resources.gateway import reading, references
from outgate.resources.gateway.reading import Fields
from outgate.resources.gateway.references import Object
from outgate.resources.hosts import hostname
from outgate.resources.paths import child, item, quote

CA_KINDS = (("", "ConfigMap"), ("", "Secret"))
CA_KEY = "ca.crt"
FIELDS = ("caCertificateRefs", "wellKnownCACertificates", "hostname", "subjectAltNames")


@dataclass(frozen=True, slots=True)
class Authority:
    """An object whose `ca.crt` is trusted; `path` is the field that names it."""

    object: Object
    path: str

    @property
    def is_usable(self) -> bool:
        """Whether it is of a kind that has certificates."""
        return (self.object.group, self.object.kind) in CA_KINDS


@dataclass(frozen=True, slots=True)
class Validation:
    """`host` is the name that is asked for; the certificate must have it, or any of `names` where there are some.

    Without an authority the system's count.
    """

    host: str = ""
    names: tuple[str, ...] = ()
    authorities: tuple[Authority, ...] = ()


def validation(check: Checker, parent: Fields, path: str, namespace: str) -> Validation | None:
    """Read `validation` of what stands at `path`; None where there is none."""
    given, here = check.mapping(parent, path, "validation"), child(path, "validation")
    if given is None:
        return None
    check.unknown_fields(given, here, FIELDS)
    host = reading.required(check, given, here, "hostname", "the name in the certificate") or ""
    if host:
        check.flaw(child(here, "hostname"), hostname(host))
    known = check.choice(given, here, "wellKnownCACertificates", ("System",))
    authorities = _authorities(check, given, here, namespace)
    if bool(known) == bool(given.get("caCertificateRefs")):
        message = "needs either caCertificateRefs or wellKnownCACertificates"
        check.error(here, message, "write wellKnownCACertificates: System for public services")
    return Validation(host, _names(check, given, here), authorities)


def _authorities(check: Checker, given: Fields, path: str, namespace: str) -> tuple[Authority, ...]:
    found = []
    key = "caCertificateRefs"
    for index, entry in check.items(given, path, key):
        at = item(child(path, key), index)
        meant = references.local(check, entry, at, namespace, ("", "ConfigMap"))
        if meant is not None and meant.namespace != namespace:
            check.error(child(at, "namespace"), "must be the namespace of this resource itself")
        elif meant is not None:
            found.append(Authority(meant, at))
    if len(found) > 1:
        message = "only the first one is used"
        check.warning(item(child(path, key), 1), message, "put all certificates into one object")
    return tuple(found)


def _names(check: Checker, given: Fields, path: str) -> tuple[str, ...]:
    found = []
    key = "subjectAltNames"
    for index, entry in check.items(given, path, key):
        at = item(child(path, key), index)
        check.unknown_fields(entry, at, ("type", "hostname", "uri"))
        kind = check.choice(entry, at, "type", ("Hostname", "URI"))
        if kind is None:
            check.error(child(at, "type"), "is required")
        elif (text := reading.required(check, entry, at, kind.lower())) is not None:
            if kind == "Hostname":
                check.flaw(child(at, "hostname"), hostname(text.removeprefix("*.")))
            elif "://" not in text:
                check.error(child(at, "uri"), f"{quote(text)} is not a URI with a host")
            found.append(text)
    return tuple(found)
