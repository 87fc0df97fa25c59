import contextlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dnslib import RCODE, DNSRecord

from outgate.errors import OutgateError
from outgate.internet.manager import SmallInternet

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def net() -> Iterator[SmallInternet]:
    with SmallInternet() as running:
        yield running


def _lookup(net: SmallInternet, name: str, kind: str = "A", *, tcp: bool = False) -> list[str]:
    answer = DNSRecord.question(name, kind).send(net.resolver, tcp=tcp, timeout=5)
    reply = DNSRecord.parse(answer)
    return [str(rr.rdata) for rr in reply.rr] if reply.rr else [RCODE[reply.header.rcode]]


def _get(net: SmallInternet, host: str, path: str = "/", kind: str = "A") -> tuple[int, str]:
    """Ask over HTTP as `curl --resolve` does, with an address that the net's own DNS gave."""
    connection = http.client.HTTPConnection(_lookup(net, host, kind)[-1], 80, timeout=5)
    try:
        connection.request("GET", path, headers={"host": host})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def _get_tls(net: SmallInternet, host: str, kind: str = "A") -> str:
    """Ask over HTTPS, verifying against the net's CA."""
    context = ssl.create_default_context(cafile=net.ca_file)
    address = _lookup(net, host, kind)[0]
    with (
        socket.create_connection((address, 443), timeout=5) as raw,
        context.wrap_socket(raw, server_hostname=host) as tls,
    ):
        tls.sendall(f"GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: tls.recv(65536), b"")).decode()


def _count(net: SmallInternet) -> int:
    return len(net.canary())


def _of(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record for record in records if record["kind"] == kind]


@pytest.mark.parametrize("kind", ["A", "AAAA"])
def test_httpbin_shows_the_headers_it_got(net: SmallInternet, kind: str) -> None:
    status, body = _get(net, "httpbin.org", "/headers", kind)
    assert status == 200
    assert json.loads(body)["headers"]["Host"] == "httpbin.org"


@pytest.mark.parametrize("kind", ["A", "AAAA"])
def test_google_verifies_and_shows_host_and_sni(net: SmallInternet, kind: str) -> None:
    body = _get_tls(net, "www.google.com", kind)
    assert "<title>google</title>" in body
    assert "host: www.google.com" in body
    assert "sni: www.google.com" in body


def test_httpbin_speaks_tls_too(net: SmallInternet) -> None:
    assert "200 OK" in _get_tls(net, "httpbin.org")


def test_clients_that_say_nothing_keep_nobody_out(net: SmallInternet) -> None:
    with contextlib.ExitStack() as silent:
        for host, port in (("www.google.com", 443), ("httpbin.org", 80)):
            address = _lookup(net, host)[0]
            for _ in range(10):
                silent.enter_context(socket.create_connection((address, port), timeout=5))
        assert "sni: www.google.com" in _get_tls(net, "www.google.com")
        assert _get(net, "httpbin.org", "/get")[0] == 200


def test_what_is_not_tls_is_closed(net: SmallInternet) -> None:
    address = _lookup(net, "www.google.com")[0]
    with socket.create_connection((address, 443), timeout=5) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"google" not in b"".join(iter(lambda: raw.recv(1000), b""))
    assert "sni: www.google.com" in _get_tls(net, "www.google.com")


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("expired.test", "expired"),
        ("self-signed.test", "self-signed"),
        ("wrong-name.test", "not valid for 'wrong-name.test'"),
    ],
)
def test_bad_certificates_are_refused_for_their_own_reason(
    net: SmallInternet, host: str, reason: str
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=reason):
        _get_tls(net, host)


def test_the_ca_file_can_be_read_by_others_and_keys_cannot(net: SmallInternet) -> None:
    folder = net.ca_file.parent
    assert net.ca_file.stat().st_mode & 0o777 == 0o644
    assert {key.stat().st_mode & 0o777 for key in folder.glob("*.key")} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("tcp", [False, True])
def test_dns_answers_over_udp_and_tcp(net: SmallInternet, tcp: bool) -> None:
    assert _lookup(net, "httpbin.org", tcp=tcp) == [net.plan.records()["httpbin.org", "A"][0]]
    assert _lookup(net, "no.such.test", tcp=tcp) == ["NXDOMAIN"]


def test_dns_records_change_while_it_runs(net: SmallInternet) -> None:
    net.set_record("moving.test", "A", ["192.0.2.1"], ttl=30)
    assert _lookup(net, "moving.test") == ["192.0.2.1"]
    net.set_record("moving.test", "A", [])
    assert _lookup(net, "moving.test") == ["NXDOMAIN"]
    with pytest.raises(OutgateError, match=r"moving\.test A 'x'"):
        net.set_record("moving.test", "A", ["x"])


@pytest.mark.parametrize("kind", ["A", "AAAA"])
def test_tcp_echoes_and_the_banner_comes_first(net: SmallInternet, kind: str) -> None:
    with socket.create_connection((_lookup(net, "tcp.test", kind)[0], 7777), timeout=5) as echo:
        echo.sendall(b"hello")
        assert echo.recv(100) == b"hello"
    with socket.create_connection((_lookup(net, "banner.test", kind)[0], 7778), timeout=5) as talk:
        assert talk.recv(100) == b"220 banner.test ready\r\n"
        talk.sendall(b"hello")
        assert talk.recv(100) == b"hello"


@pytest.mark.parametrize("kind", ["A", "AAAA"])
def test_udp_echoes(net: SmallInternet, kind: str) -> None:
    address = _lookup(net, "canary.test", kind)[0]
    family = socket.AF_INET if kind == "A" else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(b"hello", (address, 9999))
        assert client.recv(100) == b"hello"


def test_one_of_two_refuses_and_the_other_serves(net: SmallInternet) -> None:
    dead, alive = _lookup(net, "two.test")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((dead, 80), timeout=5)
    with socket.create_connection((alive, 80), timeout=5):
        pass
    assert _get(net, "v6only.test", "/get", "AAAA")[0] == 200
    assert _lookup(net, "v6only.test") == ["NOERROR"]


def test_the_canary_tells_who_asked_for_what(net: SmallInternet) -> None:
    before = _count(net)
    _get_tls(net, "www.google.com")
    seen = net.canary(before)
    google = net.plan.records()["www.google.com", "A"][0]
    packets = [(p["protocol"], p["destination"], p["port"]) for p in _of(seen, "packet")]
    assert packets == [("udp", net.resolver, 53), ("tcp", google, 443)]
    (query,) = _of(seen, "query")
    assert (query["name"], query["type"], query["transport"]) == ("www.google.com", "A", "udp")
    (tls,) = _of(seen, "tls")
    assert (tls["server"], tls["sni"]) == ("google", "www.google.com")
    (request,) = _of(seen, "request")
    assert (request["server"], request["path"]) == ("google", "/")
    assert request["headers"] == {"host": "www.google.com", "connection": "close"}


def _connect(address: str, port: int) -> None:
    socket.create_connection((address, port), timeout=5).close()


def _send(address: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", (address, port))


def _ping(address: str, _port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.sendto(b"\x08\x00\xf7\xff\x00\x00\x00\x00", (address, 0))


@pytest.mark.parametrize(
    ("attempt", "protocol", "port"),
    [(_connect, "tcp", 4711), (_send, "udp", 4711), (_ping, "icmp", None)],
)
def test_the_canary_hears_what_nobody_listens_to(
    net: SmallInternet, attempt: Callable[[str, int], None], protocol: str, port: int | None
) -> None:
    before = _count(net)
    dead = _lookup(net, "two.test")[0]
    with contextlib.suppress(ConnectionRefusedError):
        attempt(dead, 4711)
    seen = [p for p in _of(net.canary(before), "packet") if p["destination"] == dead]
    assert [(p["protocol"], p.get("port")) for p in seen] == [(protocol, port)]


def test_the_canary_records_a_connection_once_however_much_flows(net: SmallInternet) -> None:
    before = _count(net)
    address = net.plan.records()["tcp.test", "A"][0]
    with socket.create_connection((address, 7777), timeout=5) as echo:
        for _ in range(50):
            echo.sendall(b"x" * 1000)
            echo.recv(100_000)
    assert len(_of(net.canary(before), "packet")) == 1


def test_the_canary_is_silent_when_nothing_happens(net: SmallInternet) -> None:
    before = _count(net)
    time.sleep(0.2)
    assert net.canary(before) == []


@pytest.mark.parametrize("server", ["httpbin", "google", "dns", "echo", "canary-udp"])
def test_a_paused_server_refuses_and_a_resumed_one_serves(net: SmallInternet, server: str) -> None:
    (planned,) = (one for one in net.plan.servers() if one.name == server)
    kind = socket.SOCK_DGRAM if server == "canary-udp" else socket.SOCK_STREAM

    def reach() -> None:
        with socket.socket(socket.AF_INET, kind) as client:
            client.settimeout(5)
            client.connect((planned.addresses[0], planned.port))
            if kind == socket.SOCK_DGRAM:
                client.send(b"x")
                client.recv(100)

    reach()
    for _ in range(2):  # A second time does no harm.
        net.pause(server)
    with pytest.raises(ConnectionRefusedError):
        reach()
    for _ in range(2):
        net.resume(server)
    reach()


def test_an_unknown_server_is_an_error_that_lists_those_there_are(net: SmallInternet) -> None:
    with pytest.raises(OutgateError, match=r"no server 'nonsense'; there are dns, httpbin, "):
        net.pause("nonsense")
