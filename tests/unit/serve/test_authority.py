"""Certificates: who they name, whom they convince, and what happens to a damaged authority."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from outgate.errors import HostError
from outgate.serve import authority

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
IDENTITY = "spiffe://mesh.test/ns/default/sa/sleep"
PATH = Path("/state/root.pem")


def issue(root: authority.Authority) -> authority.KeyPair:
    return root.issue(IDENTITY, NOW, HOUR, namespace="default", pod="sleep@default")


def names(pair: authority.KeyPair) -> x509.SubjectAlternativeName:
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_a_workload_certificate_names_one_identity_and_its_parts() -> None:
    found = names(issue(authority.create(NOW, "mesh.test")))
    assert found.get_values_for_type(x509.UniformResourceIdentifier) == [IDENTITY]
    assert found.get_values_for_type(x509.DNSName) == ["default"]
    assert found.get_values_for_type(x509.RFC822Name) == ["sleep@default"]


def test_it_lives_as_long_as_asked_and_begins_a_little_earlier() -> None:
    pair = issue(authority.create(NOW, "mesh.test"))
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    assert pair.expires == certificate.not_valid_after_utc == NOW + HOUR
    assert certificate.not_valid_before_utc == NOW - datetime.timedelta(minutes=5)


def test_it_is_for_both_ends_of_a_connection_and_cannot_issue() -> None:
    certificate = x509.load_pem_x509_certificate(
        issue(authority.create(NOW, "mesh.test")).certificate
    )
    extensions = certificate.extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert usage == {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)


def test_each_has_its_own_key_and_serial_number() -> None:
    root = authority.create(NOW, "mesh.test")
    one, two = issue(root), issue(root)
    assert one.key != two.key
    serials = {x509.load_pem_x509_certificate(p.certificate).serial_number for p in (one, two)}
    assert len(serials) == 2


def test_it_chains_to_its_root_only() -> None:
    root, other = authority.create(NOW, "mesh.test"), authority.create(NOW, "mesh.test")
    leaf = x509.load_pem_x509_certificate(issue(root).certificate)
    leaf.verify_directly_issued_by(root.root)
    with pytest.raises(Exception, match=r".*"):
        leaf.verify_directly_issued_by(other.root)


def test_the_key_does_not_show_in_logs() -> None:
    pair = issue(authority.create(NOW, "mesh.test"))
    assert "PRIVATE" not in repr(pair)


def test_what_is_stored_is_the_same_authority_after_a_restart() -> None:
    root = authority.create(NOW, "mesh.test")
    again = authority.load(authority.dump(root), PATH, NOW)
    assert again.bundle == root.bundle
    x509.load_pem_x509_certificate(issue(again).certificate).verify_directly_issued_by(root.root)


def damaged() -> dict[str, bytes]:
    whole = authority.dump(authority.create(NOW, "mesh.test"))
    key, certificate = whole.split(b"-----BEGIN CERTIFICATE-----")
    other = authority.dump(authority.create(NOW, "mesh.test"))
    return {
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "only the key": key,
        "only the certificate": b"-----BEGIN CERTIFICATE-----" + certificate,
        "not text": b"\xff\x00" * 100,
        "of two": other.split(b"-----BEGIN CERTIFICATE-----")[0]
        + b"-----BEGIN CERTIFICATE-----"
        + certificate,
    }


@pytest.mark.parametrize("case", list(damaged()))
def test_a_damaged_authority_is_an_error_that_names_the_file(case: str) -> None:
    with pytest.raises(HostError, match=r"/state/root\.pem") as caught:
        authority.load(damaged()[case], PATH, NOW)
    assert "remove" in caught.value.hint


def test_an_authority_whose_time_is_over_is_an_error() -> None:
    stored = authority.dump(authority.create(NOW, "mesh.test"))
    later = NOW + datetime.timedelta(days=3651)
    with pytest.raises(HostError, match="expired"):
        authority.load(stored, PATH, later)


def test_a_library_that_did_not_make_it_verifies_it() -> None:
    root = authority.create(NOW, "mesh.test")
    store = Store([root.root])
    verifier = PolicyBuilder().store(store).time(NOW).build_client_verifier()
    leaf = x509.load_pem_x509_certificate(issue(root).certificate)
    try:
        verifier.verify(leaf, [])
    except VerificationError as error:  # pragma: no cover - shown when it fails
        pytest.fail(str(error))
