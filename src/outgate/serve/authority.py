"""A certificate authority of our own, so that a proxy's identity is proved and not claimed.

Workload certificates follow the SPIFFE X.509-SVID standard: one URI name, the identity. The
namespace and the pod stand beside it as a DNS and an e-mail name, because Envoy can use a whole
name but cannot take one apart.
"""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from outgate.errors import HostError

ROOT_DAYS = 3650
BACKDATED = datetime.timedelta(minutes=5)
"""Certificates begin earlier than now, for peers whose clocks are behind."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A PEM certificate and private key; `expires` is in UTC."""

    certificate: bytes
    key: bytes
    expires: datetime.datetime

    def __repr__(self) -> str:
        """Leave the key out of logs."""
        return f"KeyPair(expires={self.expires.isoformat()})"


@dataclass(frozen=True, slots=True)
class Authority:
    """The root certificate with its key."""

    root: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def bundle(self) -> bytes:
        """The PEM that peers trust."""
        return self.root.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        identity: str,
        now: datetime.datetime,
        life: datetime.timedelta,
        *,
        namespace: str = "",
        pod: str = "",
    ) -> KeyPair:
        """Return a certificate for a SPIFFE ID, good for clients and servers."""
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(identity)]
        if namespace:
            names.append(x509.DNSName(namespace))
        if pod:
            names.append(x509.RFC822Name(pod))
        return self._sign("outgate workload", names, now, life)

    def issue_server(
        self, hosts: Iterable[str], now: datetime.datetime, life: datetime.timedelta
    ) -> KeyPair:
        """Return a certificate for a server's DNS names; it names no identity, so that it is no workload's."""
        names = [x509.DNSName(host) for host in hosts]
        return self._sign("outgate server", names, now, life)

    def _sign(
        self,
        subject: str,
        names: Sequence[x509.GeneralName],
        now: datetime.datetime,
        life: datetime.timedelta,
    ) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        usages = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)
        certificate = (
            _builder(subject, self.root.subject, key.public_key(), now, life)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )
        return KeyPair(
            certificate.public_bytes(serialization.Encoding.PEM),
            _private(key),
            certificate.not_valid_after_utc,
        )


def create(now: datetime.datetime, trust_domain: str) -> Authority:
    """Return a new authority for a trust domain."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name("outgate root")
    identity = x509.UniformResourceIdentifier(f"spiffe://{trust_domain}")
    root = (
        _builder("outgate root", subject, key.public_key(), now, datetime.timedelta(days=ROOT_DAYS))
        .add_extension(x509.SubjectAlternativeName([identity]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(root, key)


def dump(authority: Authority) -> bytes:
    """Return key and certificate as PEM, to be stored where only the owner reads."""
    return _private(authority.key) + authority.bundle


def load(data: bytes, path: PurePath, now: datetime.datetime) -> Authority:
    """Read what `dump` wrote; HostError says what to do if it cannot be used."""
    hint = f"remove {path}: a new authority is made at the next start"
    try:
        root = x509.load_pem_x509_certificate(data)
        key = serialization.load_pem_private_key(data, None)
    except ValueError as error:
        raise HostError(f"{path} does not hold a key and a certificate", hint=hint) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != root.public_key():
        raise HostError(f"{path}: the key is not the certificate's", hint=hint)
    if root.not_valid_after_utc <= now:
        raise HostError(f"{path}: the certificate expired on {root.not_valid_after_utc}", hint=hint)
    return Authority(root, key)


def _builder(
    name: str,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    life: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
