import ipaddress
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.resources.hosts import address, external_name, hostname
from outgate.resources.problems import Severity

FAST = settings(max_examples=300, deadline=None, database=None, derandomize=True)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("httpbin.org", "httpbin.org"),
        ("httpbin.org.", "httpbin.org"),
        ("intranet", "intranet"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("1.2.3.4.example", "1.2.3.4.example"),
        ("0x7f.1a", "0x7f.1a"),
        ("1e100.net", "1e100.net"),
        ("mylocalhost", "mylocalhost"),
        ("localhost.example.com", "localhost.example.com"),
        (".".join(["a" * 63] * 3 + ["b" * 61]), ".".join(["a" * 63] * 3 + ["b" * 61])),
    ],
)
def test_valid_external_names(text: str, host: str) -> None:
    assert external_name(text) == (host, None)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("10.1.258", "10.1.1.2"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0X7F000001", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0177.0.0.01", "127.0.0.1"),
        ("0", "0.0.0.0"),  # noqa: S104
        ("169.254.169.254.", "169.254.169.254"),
        ("::1", "::1"),
        ("[fd00:ec2::254]", "fd00:ec2::254"),
        ("::ffff:169.254.169.254", "::ffff:169.254.169.254"),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ],
)
def test_addresses_in_any_spelling_are_refused(text: str, meant: str) -> None:
    _, flaw = external_name(text)
    assert flaw is not None
    assert "is an IP address" in flaw.message
    assert flaw.hint == "give the DNS name of the service"
    assert address(text.removesuffix(".")) == ipaddress.ip_address(meant)


@pytest.mark.parametrize("text", ["1.2.3.4.5", "256.1.1.1", "a.b.08", "a.0x", "1.2.3.999"])
def test_names_that_end_in_a_number_are_refused(text: str) -> None:
    flaw = hostname(text)
    assert flaw is not None
    assert "ends in a number" in flaw.message


@FAST
@given(st.lists(st.sampled_from([*"0123456789abcfx.X"]), max_size=12).map("".join))
def test_whatever_the_c_library_takes_for_an_address_is_refused(text: str) -> None:
    try:
        packed = socket.inet_aton(text)
    except OSError:
        return
    assert address(text) == ipaddress.IPv4Address(packed)
    assert hostname(text) is not None


@pytest.mark.parametrize("text", ["localhost", "localhost.", "db.localhost", "ip6-localhost"])
def test_the_egress_itself_is_refused(text: str) -> None:
    _, flaw = external_name(text)
    assert flaw is not None
    assert "loopback" in flaw.message
    assert flaw.severity is Severity.ERROR


@pytest.mark.parametrize("text", ["db.prod.svc.cluster.local", "x.cluster.local.", "db.prod.svc"])
def test_names_inside_the_cluster_get_a_warning(text: str) -> None:
    host, flaw = external_name(text)
    assert host == text.removesuffix(".")
    assert flaw is not None
    assert flaw.severity is Severity.WARNING


def test_the_suffix_of_the_mesh_can_differ() -> None:
    assert external_name("a.b.svc.mesh.test") == ("a.b.svc.mesh.test", None)
    assert external_name("a.b.svc.mesh.test", "mesh.test")[1] is not None


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("*.example.com", "name one host"),
        ("https://HttpBin.org/get", "write only the host name: httpbin.org"),
        ("httpbin.org/get", "write only the host name: httpbin.org"),
        ("ftp://user:secret@httpbin.org:21", "write only the host name: httpbin.org"),
        ("http://", "write only the host name"),
        ("httpbin.org:443", "write the port in spec.ports"),
        ("HTTPBin.org", "write it in lower case: httpbin.org"),
        ("bücher.example", "write it in ASCII: xn--bcher-kva.example"),
        ("a..b", ""),
        ("é..b", ""),
        ("my_host.example", ""),
        (f"{'a' * 64}.example", ""),
        ("é" * 400_000, ""),
        ("..", ""),
        ("", ""),
    ],
)
def test_hints_say_what_was_probably_meant(text: str, hint: str) -> None:
    _, flaw = external_name(text)
    assert flaw is not None
    assert flaw.hint == hint
    assert flaw.severity is Severity.ERROR


def test_a_label_of_over_63_characters_cannot_be_in_dns() -> None:
    flaw = hostname(f"{'a' * 64}.example")
    assert flaw is not None
    assert flaw.message == (
        f'the label "{"a" * 64}" is 64 characters long, at most 63 are allowed between dots'
    )
