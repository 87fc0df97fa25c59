"""The servers that only tests want are what they say, without anything of Outgate between."""

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from dnslib import RCODE, DNSRecord
from tests.outside import databases
from tests.outside.control import Outside

from outgate.errors import OutgateError
from outgate.internet.manager import SmallInternet

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    with SmallInternet() as internet:
        made = Outside(internet)
        made.open("web", "h2", "grpc", "mtls", "mtls-echo", "many-a", "many-b", "many-c", "wild")
        made.open("tls-echo", "tls-banner", "proxy", "socks")
        yield made


def lookup(outside: Outside, name: str, kind: str = "A") -> list[str]:
    answer = DNSRecord.parse(DNSRecord.question(name, kind).send(outside.internet.resolver))
    return [str(rr.rdata) for rr in answer.rr] or [RCODE[answer.header.rcode]]


def curl(outside: Outside, url: str, *flags: str) -> str:
    host = url.split("/")[2]
    command = ["curl", "-sS", "-m", "5", "--cacert", str(outside.internet.ca_file)]
    for port in () if "-x" in flags else (80, 443):
        command += ["--resolve", f"{host}:{port}:{lookup(outside, host)[0]}"]
    done = subprocess.run([*command, *flags, url], text=True, capture_output=True, check=False)
    return done.stdout + done.stderr


def asked(outside: Outside, url: str, *flags: str) -> dict[str, Any]:
    return dict(json.loads(curl(outside, url, *flags)))


def tls(outside: Outside, host: str, port: int, name: str = "") -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(outside.internet.ca_file))
    if name:
        pair = outside.client_certificate(name)
        context.load_cert_chain(pair.certificate, pair.key)
    raw = socket.create_connection((lookup(outside, host)[0], port), 5)
    return context.wrap_socket(raw, server_hostname=host)


def test_a_web_server_says_what_it_was_asked(outside: Outside) -> None:
    said = asked(outside, "http://echo.test/a?b=1", "-d", "12345", "-H", "X-A: b")
    assert (said["method"], said["path"], said["size"]) == ("POST", "/a?b=1", 5)
    assert (said["http"], said["scheme"], said["host"]) == ("1.1", "http", "echo.test")
    assert ["x-a", "b"] in said["headers"]
    assert asked(outside, "https://echo.test/")["sni"] == "echo.test"
    assert curl(outside, "http://echo.test/?status=418", "-o/dev/null", "-w%{http_code}") == "418"


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_it_compresses_when_asked(outside: Outside, coding: str) -> None:
    flags = ("-i", "--compressed", "-H", f"Accept-Encoding: {coding}")
    said = curl(outside, "http://echo.test/", *flags)
    assert f"content-encoding: {coding}" in said.lower()
    assert '"server": "web"' in said


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_it_takes_a_body_of_any_size(outside: Outside, tmp_path: Path, scheme: str) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * 3_000_000)
    said = asked(outside, f"{scheme}://echo.test/", "--data-binary", f"@{large}")
    assert said["size"] == 3_000_000


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_websocket_echoes(outside: Outside, scheme: str) -> None:
    address = lookup(outside, "ws.test")[0]
    context = ssl.create_default_context(cafile=str(outside.internet.ca_file))
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            f"{scheme}://{address}/ws", ssl=context, server_hostname="ws.test"
        ) as talk,
    ):
        await talk.send_str("hello")
        assert await talk.receive_str() == "hello"
        await talk.send_bytes(b"\0")
        assert await talk.receive_bytes() == b"\0"


@pytest.mark.parametrize(
    ("url", "flag", "version"),
    [
        ("http://h2.test/x?y=z", "--http2-prior-knowledge", "2"),
        ("https://h2.test/x?y=z", "--http2", "2"),
        ("https://h2.test/x?y=z", "--http1.1", "1.1"),
        ("http://h2.test/x?y=z", "--http1.1", "1.1"),
    ],
)
def test_http2(outside: Outside, url: str, flag: str, version: str) -> None:
    said = asked(outside, url, flag, "-d", "123")
    assert (said["http"], said["path"], said["size"]) == (version, "/x?y=z", 3)


@pytest.mark.parametrize("secure", [False, True])
def test_grpc_streams_and_ends_with_a_status(outside: Outside, secure: bool) -> None:
    address = lookup(outside, "grpc.test")[0]
    if secure:
        credentials = grpc.ssl_channel_credentials(outside.internet.ca_file.read_bytes())
        options = [("grpc.ssl_target_name_override", "grpc.test")]
        channel = grpc.secure_channel(f"{address}:50052", credentials, options)
    else:
        channel = grpc.insecure_channel(f"{address}:50051")
    with channel:
        unary = channel.unary_unary("/test.Echo/Unary")
        said, call = unary.with_call(b"hi", metadata=(("x-a", "b"),), timeout=5)
        assert said == b"hi"
        assert json.loads(dict(call.trailing_metadata())["x-seen"])["x-a"] == "b"
        assert list(channel.unary_stream("/test.Echo/Download")(b"abc")) == [b"a", b"b", b"c"]
        assert channel.stream_unary("/test.Echo/Upload")(iter([b"a", b"b"])) == b"ab"
        assert list(channel.stream_stream("/test.Echo/Chat")(iter([b"a", b"b"]))) == [b"a", b"b"]
        with pytest.raises(grpc.RpcError) as raised:
            unary(b"", metadata=(("x-status", "7"), ("x-details", "not you")))
        assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert raised.value.details() == "not you"


def test_a_client_certificate_is_required(outside: Outside) -> None:
    pair = outside.client_certificate("alice")
    assert '"subject"' not in curl(outside, "https://mtls.test/")
    flags = ("--cert", str(pair.certificate), "--key", str(pair.key))
    assert asked(outside, "https://mtls.test/", *flags)["subject"] == "alice"
    with tls(outside, "mtls.test", 7781, "bob") as talk:
        assert talk.recv(100) == b"bob\r\n"
        talk.sendall(b"hello")
        assert talk.recv(100) == b"hello"
    with tls(outside, "mtls.test", 7781) as talk:
        try:
            said = talk.recv(100)
        except OSError:
            said = b""
    assert said == b""


def test_tls_without_http(outside: Outside) -> None:
    with tls(outside, "tls.test", 7779) as talk:
        talk.sendall(b"hello")
        assert talk.recv(100) == b"hello"
    with tls(outside, "tls.test", 7780) as talk:
        assert talk.recv(100) == b"220 tls.test ready\r\n"


def test_one_of_many_fails_is_slow_and_is_down(outside: Outside) -> None:
    def code(each: str, path: str = "/", seconds: str = "5") -> str:
        flags = ("-o/dev/null", "-w%{http_code}", "-m", seconds)
        return curl(outside, f"http://{each}.many.test{path}", *flags)[:3]

    assert len(set(lookup(outside, "many.test"))) == 3
    assert [asked(outside, f"http://{x}.many.test/")["server"] for x in "abc"] == [
        "many-a", "many-b", "many-c",
    ]  # fmt: skip
    outside.behave("many-a", status=503, statuses=[500, 200], path="/x")
    assert [code("a", "/x") for _ in range(4)] == ["500", "200", "503", "503"]
    assert (code("a"), code("b", "/x")) == ("200", "200")
    outside.behave("many-a", delay=1)
    assert (code("a", seconds="0.5"), code("a")) == ("000", "200")
    outside.behave("many-a")
    assert code("a", seconds="0.5") == "200"
    outside.internet.pause("many-a")
    assert (code("a"), code("b")) == ("000", "200")
    outside.open("many-a")
    assert code("a") == "200"


def test_all_names_below_a_wildcard(outside: Outside) -> None:
    for name in ("a.wild.test", "b.wild.test"):
        assert asked(outside, f"https://{name}/")["sni"] == name
        assert asked(outside, f"http://{name}/")["host"] == name
    assert "odd.wild.test" in curl(outside, "https://odd.wild.test/")
    assert "no alternative certificate" in curl(outside, "https://odd.wild.test/")
    assert lookup(outside, "wild.test") == ["NXDOMAIN"]


@pytest.mark.parametrize(("proxy", "port"), [("http", 3128), ("socks5h", 1080)])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxies_say_what_passed(outside: Outside, proxy: str, port: int, scheme: str) -> None:
    before = len(outside.internet.canary())
    through = f"{proxy}://{lookup(outside, 'proxy.test')[0]}:{port}"
    assert asked(outside, f"{scheme}://echo.test/", "-x", through)["host"] == "echo.test"
    (line,) = outside.seen(before, "proxied", "proxy" if proxy == "http" else "socks")
    assert line["text"].endswith(f"-> echo.test:{443 if scheme == 'https' else 80}")


@pytest.mark.parametrize("name", ["web", "h2", "grpc", "proxy", "tls-echo"])
def test_what_is_paused_refuses_and_serves_again(outside: Outside, name: str) -> None:
    host, port = {
        "web": ("echo.test", 443), "h2": ("h2.test", 80), "grpc": ("grpc.test", 50051),
        "proxy": ("proxy.test", 3128), "tls-echo": ("tls.test", 7779),
    }[name]  # fmt: skip
    address = lookup(outside, host)[0]
    outside.internet.pause(name)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, port), 5)
    outside.open(name)
    socket.create_connection((address, port), 5).close()


def test_what_there_is_not_is_an_error(outside: Outside) -> None:
    with pytest.raises(OutgateError, match="no manners has 'nobody'; those have web, mtls"):
        outside.behave("nobody", status=500)
    with pytest.raises(OutgateError, match="no server 'nonsense'; there are dns, "):
        outside.open("nonsense")
    with pytest.raises(OutgateError, match="there are servers of that name: grpc"):
        Outside(outside.internet)
    with pytest.raises(OutgateError, match="No module named 'nowhere'"):
        outside.internet.load("nowhere", outside.internet.ca_file.parent)


def test_a_real_postgresql(outside: Outside) -> None:
    with databases.postgres(outside):
        address = lookup(outside, "postgres.test")[0]
        place = f"host=postgres.test hostaddr={address} user=app dbname=postgres"
        place += f" sslmode=verify-full sslrootcert={outside.internet.ca_file}"
        asked = ["psql", "-At", place, "-c", "select 6*7"]
        done = subprocess.run(
            asked, env={"PGPASSWORD": "secret", "PATH": "/usr/bin"}, capture_output=True, text=True, check=False
        )  # fmt: skip
        assert (done.stdout, done.stderr) == ("42\n", "")


def test_a_real_redis(outside: Outside) -> None:
    with databases.redis(outside):
        place = ["redis-cli", "-h", lookup(outside, "redis.test")[0]]
        tls = [
            "-p",
            "6380",
            "--tls",
            "--sni",
            "redis.test",
            "--cacert",
            str(outside.internet.ca_file),
        ]
        for words in (["set", "a", "b"], [*tls, "get", "a"]):
            done = subprocess.run([*place, *words], capture_output=True, text=True, check=True)
        assert done.stdout == "b\n"
