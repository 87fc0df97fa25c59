"""Certificates and trust, as resources that a proxy fetches: none of them lies on a disk."""

from outgate.xds import building
from outgate.xds import extensions as ext
from outgate.xds.snapshot import Resource

SECRET = building.PREFIX + "envoy.extensions.transport_sockets.tls.v3.Secret"


def certificate(name: str, chain: bytes, key: bytes) -> Resource:
    """Return a certificate with its key, both PEM."""
    secret = ext.secret.Secret(name=name)
    secret.tls_certificate.certificate_chain.inline_bytes = chain
    secret.tls_certificate.private_key.inline_bytes = key
    return building.resource(SECRET, name, secret)


def trust(name: str, bundle: bytes) -> Resource:
    """Return the PEM bundle that peers' certificates must chain to."""
    secret = ext.secret.Secret(name=name)
    secret.validation_context.trusted_ca.inline_bytes = bundle
    return building.resource(SECRET, name, secret)


def text(name: str, value: bytes) -> Resource:
    """Return the value of a header; an empty one makes the calls fail that it is for."""
    secret = ext.secret.Secret(name=name)
    secret.generic_secret.secret.inline_bytes = value
    return building.resource(SECRET, name, secret)
