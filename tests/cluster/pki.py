"""The cluster's certificates, and the kubeconfigs that hold them. They live as long as one cluster does."""

import base64
import datetime
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.cluster.places import API_PORT, NODE, Place

_DAY = datetime.timedelta(days=1)
_SERVER_NAMES = (
    *("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"),
    "kubernetes.default.svc.cluster.local",
)


def write(place: Place) -> None:
    """Write everything into `pki/` and the kubeconfigs of the administrator and the node beside it."""
    folder = place.folder / "pki"
    folder.mkdir(mode=0o700)
    authority = Authority(folder)
    nets = (*(each[number] for each in place.link_nets for number in (1, 2)),)
    services = (each[1] for each in place.service_nets)
    server = (*_SERVER_NAMES, "127.0.0.1", *map(str, nets), *map(str, services))
    authority.issue("server", "kube-apiserver", names=server)
    authority.issue("kubelet-client", "kube-apiserver-kubelet-client", "system:masters")
    authority.issue("admin", "admin", "system:masters")
    authority.issue("node", f"system:node:{NODE}", "system:nodes", names=(NODE, *server))
    _write_key(folder / "accounts.key", ec.generate_private_key(ec.SECP256R1()))
    for user in ("admin", "node"):
        text = _kubeconfig(folder, user, f"https://{place.node_address}:{API_PORT}")
        (place.folder / f"{user}.kubeconfig").touch(mode=0o600)
        (place.folder / f"{user}.kubeconfig").write_text(text)


class Authority:
    """A CA, as `ca.crt` and `ca.key` in `folder`, that issues there too."""

    def __init__(self, folder: Path) -> None:
        """Make it."""
        self._folder = folder
        self._now = datetime.datetime.now(datetime.UTC)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
        certificate = self._builder(self._name, self._key)
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        self._sign("ca", self._key, certificate.add_extension(constraints, critical=True))

    def issue(self, file: str, name: str, group: str = "", *, names: Iterable[str] = ()) -> None:
        """Write `file`.crt and `file`.key, for a user in a group, and a server of these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        if group:
            parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = self._builder(x509.Name(parts), key).add_extension(
            x509.ExtendedKeyUsage(usages), critical=False
        )
        if alternatives := [_alternative(each) for each in names]:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
        self._sign(file, key, builder)

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _DAY)
            .not_valid_after(self._now + 365 * _DAY)
        )

    def _sign(
        self, file: str, key: ec.EllipticCurvePrivateKey, builder: x509.CertificateBuilder
    ) -> None:
        signed = builder.sign(self._key, hashes.SHA256())
        pem = signed.public_bytes(serialization.Encoding.PEM)
        (self._folder / f"{file}.crt").write_bytes(pem)
        _write_key(self._folder / f"{file}.key", key)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    # The form in which the API server can read the public half of it, too.
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )


def _kubeconfig(folder: Path, user: str, server: str) -> str:
    def data(name: str) -> str:
        return base64.b64encode((folder / name).read_bytes()).decode()

    authority = {"server": server, "certificate-authority-data": data("ca.crt")}
    proof = {
        "client-certificate-data": data(f"{user}.crt"),
        "client-key-data": data(f"{user}.key"),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "outgate", "cluster": authority}],
        "users": [{"name": user, "user": proof}],
        "contexts": [{"name": "outgate", "context": {"cluster": "outgate", "user": user}}],
        "current-context": "outgate",
    }
    return yaml.safe_dump(config)
