"""A certificate authority that lives as long as one small internet, and what it issues."""

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from outgate.internet.plan import Certificate

CA_FILE = "ca.pem"
"""Name of the CA's certificate file."""

_DAY = datetime.timedelta(days=1)
_OTHER_NAME = "other.test"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Makes a CA, writes its certificate to `ca.pem` in `folder`, and issues there too."""

    def __init__(self, folder: Path) -> None:
        """Make the CA's key, which is kept in memory only."""
        self._folder = folder
        self._now = datetime.datetime.now(datetime.UTC)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "small internet")])
        usage = _key_usage(signs_certificates=True)
        certificate = (
            self._builder(self._name, self._key, expires=30 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        (folder / CA_FILE).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, host: str, kind: Certificate) -> Pair:
        """Write a certificate for `host`, good or bad as `kind` says, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        issued_to = _OTHER_NAME if kind is Certificate.WRONG_NAME else host
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issued_to)])
        expires = -_DAY if kind is Certificate.EXPIRED else 30 * _DAY
        alone = kind is Certificate.SELF_SIGNED
        issuer, issuer_key = (subject, key) if alone else (self._name, self._key)
        client = kind is Certificate.CLIENT
        use = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
        certificate = (
            self._builder(subject, key, expires=expires, issuer=issuer)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(authority, critical=False)
            .add_extension(_names(issued_to), critical=False)
            .sign(issuer_key, hashes.SHA256())
        )
        pair = Pair(self._folder / f"{host}.pem", self._folder / f"{host}.key")
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pair.key.touch(mode=0o600)
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return pair

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        expires: datetime.timedelta,
        issuer: x509.Name | None = None,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            # Long ago, for clocks that are wrong and for certificates that are to have expired.
            .not_valid_before(self._now - 10 * _DAY)
            .not_valid_after(self._now + expires)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _names(host: str) -> x509.SubjectAlternativeName:
    """Return a host's names: those below it too, as many certificates have."""
    return x509.SubjectAlternativeName([x509.DNSName(host), x509.DNSName(f"*.{host}")])
