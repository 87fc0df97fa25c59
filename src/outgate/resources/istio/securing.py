"""The TLS that a DestinationRule has the egress open."""

from collections.abc import Mapping
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.hosts import hostname
from outgate.resources.istio.reading import flag, texts
from outgate.resources.names import dns_subdomain
from outgate.resources.paths import child, quote
from outgate.traffic.references import FileKey, Material, SecretKey
from outgate.traffic.upstream import Tls

_MODES = ("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL")
_SYSTEM = "system"
_TLS_FIELDS = (
    "clientCertificate",
    "privateKey",
    "caCertificates",
    "credentialName",
    "caCertCredentialName",
    "subjectAltNames",
    "sni",
    "insecureSkipVerify",
)


def parse_tls(
    check: Checker, policy: Mapping[str, Any], path: str, namespace: str, *, is_service: bool
) -> Tls | None:
    """Read `tls` of a policy; None where none is opened. `is_service`: the host is a Service's name."""
    settings = check.mapping(policy, path, "tls")
    if settings is None:
        return None
    here = child(path, "tls")
    mode = check.choice(settings, here, "mode", _MODES) or "DISABLE"
    if mode == "ISTIO_MUTUAL":
        message = "nobody outside knows the certificates of a mesh"
        check.error(child(here, "mode"), message, "write SIMPLE, or MUTUAL and a certificate")
    if mode == "DISABLE" and is_service:
        message = "the egress opens TLS all the same on ports of the Service that are named https"
        check.warning(child(here, "mode"), message, "name the port http to have none")
    found = _opened(check, settings, here, namespace, mode)
    if mode in ("SIMPLE", "MUTUAL"):
        return found
    for key in sorted(settings):
        if key != "mode" and key in _TLS_FIELDS and settings[key]:
            check.warning(child(here, key), f"has no effect with mode {mode}", "write mode: SIMPLE")
    return None


def _opened(
    check: Checker, settings: Mapping[str, Any], here: str, namespace: str, mode: str
) -> Tls:
    sni = check.string(settings, here, "sni") or ""
    if sni:
        check.flaw(child(here, "sni"), hostname(sni))
    insecure = flag(check, settings, here, "insecureSkipVerify")
    if insecure:
        message = "anybody on the way can pose as the server"
        check.warning(child(here, "insecureSkipVerify"), message, "name the authority instead")
    names = texts(check, settings, here, "subjectAltNames")
    if "" in names:
        check.error(child(here, "subjectAltNames"), "has an empty name", "remove it")
    certificate, key = _client(check, settings, here, namespace, mode)
    return Tls(
        sni=sni,
        names=names,
        ca=_authority(check, settings, here, namespace),
        certificate=certificate,
        key=key,
        verify=not insecure,
    )


def _client(
    check: Checker, settings: Mapping[str, Any], path: str, namespace: str, mode: str
) -> tuple[Material | None, Material | None]:
    """Read where the client's certificate and key are."""
    certificate = _file(check, settings, path, "clientCertificate")
    key = _file(check, settings, path, "privateKey")
    secret = _secret(check, settings, path, "credentialName")
    if mode != "MUTUAL":
        for name in ("clientCertificate", "privateKey"):
            if settings.get(name) and mode == "SIMPLE":
                message = "is for mode MUTUAL only"
                check.error(child(path, name), message, "write mode: MUTUAL, or remove it")
        return None, None
    if secret and (certificate or key):
        message = "is there, and files are too"
        check.error(child(path, "credentialName"), message, "remove one of the two")
    if secret:
        return SecretKey(namespace, secret, "tls.crt"), SecretKey(namespace, secret, "tls.key")
    if not (certificate and key) and not check.failed_at(child(path, "credentialName")):
        message = "mode MUTUAL needs the client's certificate and key"
        check.error(path, message, "write credentialName, or clientCertificate and privateKey")
    return certificate, key


def _authority(
    check: Checker, settings: Mapping[str, Any], path: str, namespace: str
) -> Material | None:
    """Read where the certificates of the server's authority are; None for the system's."""
    secret = _secret(check, settings, path, "caCertCredentialName")
    secret = secret or _secret(check, settings, path, "credentialName")
    if secret:
        return SecretKey(namespace, secret, "ca.crt")
    if settings.get("caCertificates") == _SYSTEM:
        return None
    return _file(check, settings, path, "caCertificates")


def _secret(check: Checker, settings: Mapping[str, Any], path: str, key: str) -> str:
    text = check.string(settings, path, key) or ""
    here = child(path, key)
    if text and "://" in text:
        message = f"{quote(text)} is not the name of a Secret"
        if not check.failed_at(here):
            check.error(here, message, "write the name of one in this namespace")
        return ""
    if text and not check.failed_at(here) and check.flaw(here, dns_subdomain(text)):
        return ""
    return text


def _file(check: Checker, settings: Mapping[str, Any], path: str, key: str) -> FileKey | None:
    text = check.string(settings, path, key)
    if not text:
        return None
    if not text.startswith("/") or "\0" in text:
        message = f"{quote(text)} is not an absolute path"
        check.error(child(path, key), message, "write it from / on")
        return None
    return FileKey(text)
