"""Clients that connect and take their time before they say anything, as pools and large runtimes do."""

import json
from typing import Any

import pytest
from tests.e2e.mesh.saying import external, policy
from tests.e2e.mesh.spaces import Space
from tests.outside.control import Outside

pytestmark = [pytest.mark.root, pytest.mark.envoy]

SLOW = """
import json, socket, ssl, sys, time
host, port, ca, wait, name = sys.argv[1:]
try:
    connection = socket.create_connection((host, int(port)), timeout=20)
    time.sleep(float(wait))
    if ca:
        connection = ssl.create_default_context(cafile=ca).wrap_socket(connection, server_hostname=name)
    connection.sendall(f"GET / HTTP/1.1\\r\\nHost: {name}\\r\\nConnection: close\\r\\n\\r\\n".encode())
    said = b"".join(iter(lambda: connection.recv(65536), b""))
    print(json.dumps(said.partition(b"\\r\\n")[0].decode()))
except OSError as error:
    print(json.dumps(type(error).__name__))
"""


REFUSED = ("SSLEOFError", "ConnectionResetError", "SSLZeroReturnError")


def slowly(
    space: Space, host: str, port: int, ca: str = "", name: str = "", wait: float = 0.5
) -> Any:
    words = (space.mesh.python_program, "-I", "-c", SLOW, host, str(port), ca, str(wait))
    return json.loads(space.exec(*words, name or host))


@pytest.mark.parametrize("other", ["", "HTTPS:443"])
def test_tls_that_begins_late_is_passed_through(space: Space, outside: Outside, other: str) -> None:
    outside.open("web")
    space.apply(external("echo.test", ports=["TLS:443"]))
    if other:
        # The number is also one of a port at which HTTP is spoken.
        space.apply(external("ws.test", name="other", ports=[other]))
    ca = space.authority()
    assert slowly(space, "echo.test", 443, ca) == "HTTP/1.1 200 OK"
    said = slowly(space, "echo.test", 443, ca, "elsewhere.test")
    assert said in REFUSED
    denied = space.line(server_name="elsewhere.test")
    assert (denied["decision"], "server name" in denied["reason"]) == ("denied", True)


def test_policies_hold_for_what_begins_late(space: Space, outside: Outside) -> None:
    outside.open("web")
    space.apply(
        external("echo.test", ports=["TLS:443", "HTTP:80"]),
        policy("others", {"to": [{"host": "ws.test"}]}),
    )
    ca = space.authority()
    before = len(outside.internet.canary())
    assert slowly(space, "echo.test", 443, ca) in REFUSED
    assert slowly(space, "echo.test", 80) == "HTTP/1.1 403 Forbidden"
    assert not outside.seen(before, "tls", "web")
    for wanted in ({"protocol": "tls"}, {"status": 403}):
        said = space.line(**wanted)
        assert "no rule of an EgressPolicy" in said["reason"], said


def test_http_that_begins_late(space: Space, outside: Outside) -> None:
    outside.open("web")
    space.apply(external("echo.test", ports=["HTTP:80"]))
    assert slowly(space, "echo.test", 80) == "HTTP/1.1 200 OK"
    assert slowly(space, "echo.test", 80, name="elsewhere.test") == "HTTP/1.1 403 Forbidden"
    assert space.line(status=403, decision="denied")["destination"] == "elsewhere.test"


def test_tls_by_address_that_begins_late(space: Space, outside: Outside) -> None:
    outside.open("web")
    address = outside.internet.plan.records()["tcp.test", "A"][0]
    space.apply(external("by-address.test", addresses=[f"{address}/32"], ports=["TLS:443"]))
    assert slowly(space, address, 443, space.authority(), "echo.test") == "HTTP/1.1 200 OK"
