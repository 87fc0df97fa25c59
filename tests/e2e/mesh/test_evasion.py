"""Calls that try to get past a policy by how they are written: none is to reach a server, and the log names each."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.mesh.conftest import Mesh
from tests.e2e.mesh.saying import external, policy
from tests.e2e.mesh.spaces import Space
from tests.outside.control import Outside

pytestmark = [pytest.mark.root, pytest.mark.envoy]

CALLING = r"""
import concurrent.futures, json, socket, sys
from h2.config import H2Configuration
from h2.connection import H2Connection

def bytes_of(text):
    return text.encode("latin-1")

def written(host, text):
    got = b""
    with socket.create_connection((host, 80), 5) as client:
        client.settimeout(3)
        client.sendall(bytes_of(text))
        try:
            while piece := client.recv(65536):
                got += piece
                client.settimeout(0.5)
        except OSError:
            pass
    return got.decode("latin-1")

def streams(host, *several):
    config = H2Configuration(
        validate_outbound_headers=False, normalize_outbound_headers=False, header_encoding="latin-1"
    )
    state, got = H2Connection(config), ""
    state.initiate_connection()
    for number, headers in enumerate(several):
        pairs = [(bytes_of(key), bytes_of(value)) for key, value in headers]
        state.send_headers(2 * number + 1, pairs, end_stream=True)
    with socket.create_connection((host, 80), 5) as client:
        client.settimeout(3)
        client.sendall(state.data_to_send())
        try:
            while piece := client.recv(65536):
                for event in state.receive_data(piece):
                    if hasattr(event, "headers"):
                        got += f"HTTP/2 {dict(event.headers)[':status']} "
                    got += getattr(event, "data", b"").decode("latin-1")
                client.settimeout(1)
        except Exception:
            pass
    return got

def call(each):
    return {"written": written, "streams": streams}[each[0]](*each[1:])

with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(json.dumps(list(pool.map(call, json.loads(sys.argv[1])))))
"""

HOST, WILD = "echo.test", "two.wild.test"
POLICY = policy(
    "p",
    {"to": [{"externalService": "echo"}], "http": [{"paths": [{"prefix": "/v1"}]}]},
    {
        "action": "Deny",
        "to": [{"externalService": "echo"}],
        "http": [
            {"methods": ["DELETE"]},
            {"headers": [{"name": "x-evil", "exact": "yes"}]},
            {"paths": [{"exact": "/v1/x:kill"}]},
        ],
    },
    {"to": [{"host": "*.wild.test"}]},
    {"action": "Deny", "to": [{"host": "one.wild.test"}]},
)


def lines(
    first: str, *headers: str, host: str = HOST, to: str = HOST, body: str = ""
) -> tuple[Any, ...]:
    """A request as it is written; without a host there is none."""
    named = [f"Host: {host}"] if host else []
    return "written", to, "\r\n".join([first, *named, *headers, "", body])


def get(path: str, *headers: str) -> tuple[Any, ...]:
    return lines(f"GET {path} HTTP/1.1", "Connection: close", *headers)


def named(host: str, to: str = HOST) -> tuple[Any, ...]:
    return lines("GET /v1 HTTP/1.1", "Connection: close", host=host, to=to)


def stream(path: str = "/v1", method: str = "GET", host: str = HOST, **more: str) -> list[Any]:
    pseudo = [(":method", method), (":scheme", "http"), (":authority", host), (":path", path)]
    return [*pseudo, *((key.replace("_", "-"), value) for key, value in more.items())]


def upgrade(to: str, *headers: str) -> tuple[Any, ...]:
    return lines("GET /v1 HTTP/1.1", "Connection: Upgrade", f"Upgrade: {to}", *headers)


NEXT = "GET /v2 HTTP/1.1\r\nHost: echo.test\r\n\r\n"
ALLOWED = {
    "as usual": get("/v1"),
    "HTTP/1.0": lines("GET /v1 HTTP/1.0"),
    "HTTP/2": ("streams", HOST, stream()),
    "a dot at the end": named("echo.test."),
    "the port that is called": named("echo.test:80"),
    "a dot segment that stays below": get("/v1/a/../b"),
    "another value": get("/v1", "x-evil: yesterday"),
    "below the wildcard": named("two.wild.test", WILD),
}
REFUSED = {
    "another path": get("/v2"),
    "dot segments": get("/v1/../v2"),
    "encoded dots": get("/v1/%2e%2e/v2"),
    "dots of too many bytes": get("/v1/%c0%ae%c0%ae/v2"),
    "dots in an encoding of Microsoft's": get("/v1/%u002e%u002e/v2"),
    "no encoding": get("/v1/%zz"),
    "an encoded NUL": get("/v1/%00"),
    "a fragment": get("/v1#/../../v2"),
    "an encoded delimiter": get("/v1/x%3Akill"),
    "an asterisk": lines("OPTIONS * HTTP/1.1", "Connection: close"),
    "a path without a slash": get("v1"),
    "an absolute form for another host": get("http://ws.test/v1"),
    "an absolute form for another path": get("http://echo.test/v2"),
    "CONNECT": lines("CONNECT echo.test:80 HTTP/1.1"),
    "CONNECT elsewhere": lines("CONNECT ws.test:80 HTTP/1.1"),
    "CONNECT in a stream": ("streams", HOST, [(":method", "CONNECT"), (":authority", "ws.test:80")]),
    "a method that is none": lines("BREW /v1 HTTP/1.1"),
    "a method in lower case": ("streams", HOST, stream(method="delete")),
    "a header twice": get("/v1", "x-evil: yes", "x-evil: no"),
    "a header twice, the other way about": get("/v1", "x-evil: no", "x-evil: yes"),
    "a list in a header": get("/v1", "x-evil: no, yes"),
    "a header twice in a stream": (
        "streams", HOST, [*stream(), ("x-evil", "yes"), ("x-evil", "no")],
    ),
    "headers of ours": get("/v2", "x-outgate-namespace: default", "x-outgate-port: 80"),
    "headers of Envoy's": get("/v2", "x-envoy-original-path: /v1"),
    "another host": named("ws.test"),
    "another case": named("ECHO.test"),
    "another port": named("echo.test:81"),
    "a user": named("u@echo.test"),
    "two hosts": lines("GET /v1 HTTP/1.1", "Host: ws.test", "Connection: close"),
    "no host": lines("GET /v1 HTTP/1.1", "Connection: close", host=""),
    "HTTP/1.0 without a host": lines("GET /v1 HTTP/1.0", host=""),
    "another :authority than host": ("streams", HOST, stream(host="ws.test", x_host="echo.test")),
    "an absolute form in a stream": ("streams", HOST, stream("http://echo.test/v1")),
    "a stream's path without a slash": ("streams", HOST, stream("?v1")),
    "two lengths": lines(
        "POST /v1 HTTP/1.1", "Content-Length: 4", "Transfer-Encoding: chunked", body=f"0\r\n\r\n{NEXT}"
    ),
    "an unknown transfer encoding": lines(
        "POST /v1 HTTP/1.1", "Transfer-Encoding: xchunked", body="0\r\n\r\n"
    ),
    "an upgrade to what is not known": upgrade("foo"),
    "an upgrade to what is not known in a stream": (
        "streams", HOST, [*stream(method="CONNECT"), (":protocol", "foo")],
    ),
    "a WebSocket elsewhere in a stream": (
        "streams", HOST, [*stream("/v2", "CONNECT"), (":protocol", "websocket")],
    ),
    "a wildcard's name at another address": named("two.wild.test"),
    "a name beyond the wildcard": named("echo.test", WILD),
    "a denied name": named("one.wild.test", WILD),
    "a denied name in upper case": named("ONE.wild.test", WILD),
    "a denied name with a dot": named("one.wild.test.", WILD),
    "a denied name with a dot and a port": named("one.wild.test.:80", WILD),
    "a denied name with a port": named("one.wild.test:80", WILD),
    "a name with two dots": named("two.wild.test..", WILD),
    "an empty label": named("two..wild.test", WILD),
    "no label": named(".wild.test", WILD),
    "what is no HTTP": ("written", HOST, "hello\r\n\r\n"),
    "headers of no end": get("/v1", f"x: {'y' * 70000}"),
}  # fmt: skip
SMUGGLED = {
    "one after the other": lines("GET /v1 HTTP/1.1", body=NEXT),
    "behind a WebSocket that is none": upgrade(
        "websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: b3V0Z2F0ZSBvdXRnYXRlIQ==",
        NEXT,
    ),
    "behind HTTP/2 in the clear": upgrade("h2c", NEXT),
}


NAMED = ("identity", "destination", "address", "reason")


def tried(space: Space, *tries: tuple[Any, ...]) -> list[str]:
    """Return what each client read."""
    code = (space.mesh.python_program, "-I", "-c", CALLING, json.dumps(tries))
    return list(json.loads(space.exec(*code)))


@pytest.fixture(scope="module")
def space(mesh: Mesh, outside: Outside) -> Iterator[Space]:
    outside.open("web", "wild")
    made = Space(mesh, "evading")
    services = (("echo", HOST), ("ws", "ws.test"), ("wild", "*.wild.test"))
    made.apply(*(external(host, name=name) for name, host in services), POLICY)
    yield made
    made.end()


@pytest.fixture(scope="module")
def said(space: Space) -> dict[str, str]:
    """What came of all of them; at once, as each waits for its end."""
    everything = ALLOWED | REFUSED
    return dict(zip(everything, tried(space, *everything.values()), strict=True))


@pytest.mark.parametrize("which", ALLOWED)
def test_what_is_allowed_arrives(said: dict[str, str], which: str) -> None:
    assert said[which].startswith("HTTP/") and said[which].split()[1] == "200"  # noqa: PT018
    assert '"server"' in said[which]


@pytest.mark.parametrize("which", REFUSED)
def test_what_only_looks_so_does_not(said: dict[str, str], which: str) -> None:
    assert '"server"' not in said[which]
    assert said[which][:12].split()[1:2] in ([], ["400"], ["403"], ["404"], ["431"], ["501"])


@pytest.mark.parametrize("which", SMUGGLED)
def test_nothing_is_brought_along(space: Space, outside: Outside, which: str) -> None:
    before = len(outside.internet.canary(0))
    tried(space, SMUGGLED[which])
    seen = outside.seen(before, "request", "web")
    assert {each["path"] for each in seen} <= {"/v1"}


def test_each_denial_names_who_what_and_why(space: Space, said: dict[str, str]) -> None:
    assert said
    written = space.mesh.outgate("logs", "--egress").splitlines()
    found = [each for one in written if (each := json.loads(one))["namespace"] == space.namespace]
    denied = [each for each in found if each["decision"] == "denied"]
    assert len(denied) >= len(REFUSED) - 2
    for each in denied:
        assert each["pod"] == "app"
        assert not [key for key in NAMED if not each[key]], json.dumps(each)
    for each in found:
        assert each["decision"] == "denied" or each["status"] == 200, each
    unfit = {each["details"] for each in denied if each["reason"].startswith("no such request")}
    assert unfit >= {"upgrade_failed", "path_normalization_failed", "absolute_path_rejected"}


def test_a_wildcards_address_is_no_way_to_a_name_that_is_declared_by_itself(
    mesh: Mesh, outside: Outside
) -> None:
    outside.open("wild")
    made = Space(mesh, "beside")
    own = {"to": [{"externalService": "one"}], "http": [{"paths": [{"prefix": "/v1"}]}]}
    rules = policy("p", {"to": [{"externalService": "all"}]}, own)
    one, every = external("one.wild.test", name="one"), external("*.wild.test", name="all")
    for each in (one, every), (every, one):
        made.apply(*each, rules)
        asked = (
            named("one.wild.test", WILD),
            named("ONE.wild.test", WILD),
            named("two.wild.test", WILD),
        )
        assert ['"server"' in said for said in tried(made, *asked)] == [False, False, True]
        assert '"server"' in tried(made, named("one.wild.test", "one.wild.test"))[0]
        made.mesh.outgate("delete", "externalservice", "one", "-n", made.namespace)
        assert '"server"' in tried(made, named("one.wild.test", WILD))[0]
        made.mesh.outgate("delete", "externalservice", "all", "-n", made.namespace)
    made.end()


def test_a_limit_counts_streams_and_connections_alike(mesh: Mesh, outside: Outside) -> None:
    outside.open("web")
    limited = Space(mesh, "limited")
    limit = {"requests": 4, "per": "60s", "share": "Pod"}
    rule = {"to": [{"externalService": "echo"}], "rateLimit": limit}
    limited.apply(external(HOST, name="echo"), policy("p", rule))
    forged = get("/v1", "x-outgate-pod: another")
    several = tried(limited, *[forged] * 4, ("streams", HOST, *[stream()] * 8))
    limited.end()
    assert sum(each.count('"server"') for each in several) == 4
