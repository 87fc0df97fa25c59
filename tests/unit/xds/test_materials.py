"""Secrets and files as resources: what is wanted and held is served, and nothing else; nothing says what is in them."""

import datetime
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from outgate.host.materials import Files
from outgate.model.materials import Use, Wanted
from outgate.traffic.references import FileKey, Material, SecretKey
from outgate.xds import extensions as ext
from outgate.xds import naming
from outgate.xds.egress import Delta
from outgate.xds.materials import Vault

TOKEN = SecretKey("ns", "s", "token")
TEXT = Wanted(Use.TEXT, TOKEN)


def pair() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return made.public_bytes(pem), key.private_bytes(pem, form, none)


def served(vault: Vault) -> dict[str, ext.secret.Secret]:
    changed = vault.delta().changed
    return {each.name: ext.secret.Secret.FromString(each.value) for each in changed}


def text(vault: Vault) -> bytes:
    """The one that changed."""
    (secret,) = served(vault).values()
    return bytes(secret.generic_secret.secret.inline_bytes)


def flaws(vault: Vault) -> list[str]:
    return [message for _, message in vault.problems()]


def test_what_is_wanted_and_held_is_served_without_its_line_break() -> None:
    vault = Vault()
    vault.hold([(TOKEN, b"geheim\n")])
    assert served(vault) == {}
    vault.want("a", [TEXT])
    name = naming.material(TOKEN)
    assert served(vault)[name].generic_secret.secret.inline_bytes == b"geheim"
    assert served(vault) == {}


def test_what_stands_before_a_text_goes_with_it() -> None:
    vault = Vault()
    vault.hold([(TOKEN, b"x")])
    vault.want("a", [Wanted(Use.TEXT, TOKEN, prefix="Bearer ")])
    assert text(vault) == b"Bearer x"
    vault.hold([(TOKEN, None)])
    assert text(vault) == b""


def test_rotation_is_one_changed_resource_and_the_last_owner_takes_it_away() -> None:
    vault = Vault()
    vault.hold([(TOKEN, b"one")])
    vault.want("a", [TEXT])
    vault.want("b", [TEXT])
    assert len(served(vault)) == 1
    vault.hold([(TOKEN, b"two")])
    (secret,) = served(vault).values()
    assert secret.generic_secret.secret.inline_bytes == b"two"
    vault.want("a", [])
    assert vault.delta() == Delta()
    vault.want("b", [])
    delta = vault.delta()
    assert (delta.changed, [name for _, name in delta.removed]) == ((), [naming.material(TOKEN)])
    assert vault.materials() == set()


def test_what_is_missing_is_served_empty_so_that_nothing_old_is_used_and_its_owner_is_told() -> (
    None
):
    vault = Vault()
    vault.want("a", [TEXT])
    assert text(vault) == b""
    assert list(vault.problems()) == [
        ("a", "there is no entry token of Secret s in namespace ns: calls that need it fail")
    ]
    vault.hold([(TOKEN, b"x")])
    assert text(vault) == b"x"
    assert flaws(vault) == []
    vault.hold([(TOKEN, None)])
    assert text(vault) == b""
    assert len(flaws(vault)) == 1


@pytest.mark.parametrize("value", [b"", b"\n", b"a\r\nx: y", b"a\0", b" a", b"a\n\n"])
def test_what_cannot_stand_in_a_header_is_served_empty_and_not_shown(value: bytes) -> None:
    vault = Vault()
    vault.hold([(TOKEN, value)])
    vault.want("a", [TEXT])
    assert text(vault) == b""
    assert len(flaws(vault)) == 1
    assert "x: y" not in flaws(vault)[0]


def test_certificates_are_checked_before_envoy_sees_them() -> None:
    certificate, key = pair()
    _, another = pair()
    parts: dict[Material, bytes] = {
        SecretKey("ns", "tls", "tls.crt"): certificate,
        SecretKey("ns", "tls", "tls.key"): key,
        SecretKey("ns", "tls", "other.key"): another,
        SecretKey("ns", "tls", "none"): b"-----BEGIN NOTHING-----",
    }
    crt, good, other, none = parts
    vault = Vault()
    vault.hold(parts.items())
    vault.want("good", [Wanted(Use.CLIENT, crt, good), Wanted(Use.TRUST, crt)])
    assert set(served(vault)) == {naming.client_certificate(crt, good), naming.trusted(crt)}
    for wanted, said in (
        (Wanted(Use.CLIENT, crt, other), "is for another key than the one given"),
        (Wanted(Use.CLIENT, crt, none), "has a key that is no private key"),
        (Wanted(Use.CLIENT, none, good), "has no certificate in PEM"),
        (Wanted(Use.TRUST, none), "has no certificates in PEM"),
    ):
        vault.want("bad", [wanted])
        assert served(vault) == {}
        assert said in flaws(vault)[0]


def test_nothing_shows_what_is_held() -> None:
    vault = Vault()
    vault.hold([(TOKEN, b"geheim")])
    vault.want("a", [TEXT])
    vault.delta()
    assert "geheim" not in repr(vault)


def test_a_file_is_read_when_it_is_wanted_and_when_it_has_changed(tmp_path: Path) -> None:
    path, files = tmp_path / "token", Files()
    key = FileKey(str(path))
    assert list(files.changes([key])) == [(key, None)]
    path.write_text("one")
    assert list(files.changes([key])) == [(key, b"one")]
    assert list(files.changes([key])) == []
    (tmp_path / "next").write_text("two")
    (tmp_path / "next").rename(path)
    assert list(files.changes([key])) == [(key, b"two")]
    assert list(files.changes([])) == [(key, None)]


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    key = FileKey(str(tmp_path / "fifo"))
    assert list(Files().changes([key, FileKey("/dev/zero")])) == [
        (FileKey("/dev/zero"), None),
        (key, None),
    ]
