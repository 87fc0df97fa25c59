"""What a client writes in a request does not lead it to where it may not go."""

import json
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.envoy]


@pytest.fixture(scope="module", autouse=True)
def declared(mesh: Any) -> None:
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "declared"},
        "spec": {"type": "ExternalName", "externalName": "httpbin.org", "ports": [{"name": "http", "port": 80}]},
    }  # fmt: skip
    mesh.apply(json.dumps(service))


RAW = """
import json, socket, sys
with socket.create_connection((sys.argv[1], 80), 5) as connection:
    connection.settimeout(3)
    connection.sendall(json.loads(sys.argv[2]).encode("latin-1"))
    said = b""
    try:
        while part := connection.recv(4096):
            said += part
            if b" 403 " in said or b" 400 " in said or b" 404 " in said or b" 426 " in said:
                break
    except OSError as error:
        said += type(error).__name__.encode()
print(json.dumps(said.decode("latin-1")[:200]))
"""


@pytest.mark.parametrize(
    "request_text",
    [
        "GET http://canary.test:9999/ HTTP/1.1\r\nHost: declared\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: declared\r\nHost: canary.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: declared.default.evil.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: evildeclared\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: declared@canary.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: declared:9999\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: canary.test#declared\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "CONNECT canary.test:9999 HTTP/1.1\r\nHost: canary.test:9999\r\n\r\n",
        "CONNECT declared:80 HTTP/1.1\r\nHost: declared:80\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: canary.test\r\nx-envoy-original-dst-host: 198.51.100.14:9999\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: canary.test\r\nx-outgate-scope: declared.default.\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: canary.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: decl\x00ared\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_no_request_finds_a_way_around_its_host(mesh: Any, sleep: str, request_text: str) -> None:
    before = len(mesh.internet.canary())
    said = mesh.python(sleep, RAW, "declared", json.dumps(request_text))
    assert not said.startswith(("HTTP/1.1 2", "HTTP/1.1 3", "HTTP/1.1 5")), said

    # The egress itself resolves the declared name; nothing else may go out.
    kinds = {each["kind"] for each in mesh.internet.canary(before)}
    assert not kinds & {"connection", "request", "tls", "datagram"}


def test_the_control_a_request_with_the_declared_host(mesh: Any, sleep: str) -> None:
    request = "GET /status/204 HTTP/1.1\r\nHost: declared\r\nConnection: close\r\n\r\n"
    assert mesh.python(sleep, RAW, "declared", json.dumps(request)).startswith("HTTP/1.1 204")
