"""What Envoy decides on a call is what the model decides, whatever the policies."""

import contextlib
import functools
import http.client
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.xds.policing.drawing import DESTINATIONS, PATHS, drawing, pods, policies

from outgate.envoy import binary
from outgate.model.policies import NO_RULE, Call, evaluate
from outgate.traffic.permitting import (
    Mode,
    Policy,
)
from outgate.xds import building, naming
from outgate.xds.denials import NOT_DECLARED
from outgate.xds.policing import filters, programming
from outgate.xds.policing.calls import UNKNOWN_POD
from outgate.xds.policing.programming import Policed
from outgate.xds.rendering import decode

pytestmark = pytest.mark.envoy

CASES, CALLS = 60, 40


def inlined(form: Any, policed: Policed) -> Any:
    """Whatever is named, and comes as a resource of its own, in its place: Envoy has few watches on files."""
    if isinstance(form, list):
        return [inlined(each, policed) for each in form]
    if not isinstance(form, dict):
        return form
    if "config_discovery" in form:
        return inlined(decode(policed.resources[building.EXTENSION, form["name"]]), policed)
    return {key: inlined(each, policed) for key, each in form.items()}


def bootstrap(folder: Path, policed: Policed) -> dict[str, Any]:
    routes = [
        {
            "match": {
                "prefix": "/",
                "headers": [{"name": "x-to", "string_match": {"exact": f"{namespace}/{source}"}}],
            },
            "direct_response": {"status": 200, "body": {"inline_string": "allowed"}},
            "metadata": {
                "filter_metadata": {
                    naming.METADATA: {"callee": f"{namespace}/{source}", "host": host}
                }
            },
        }
        for (namespace, source), host in DESTINATIONS.items()
    ]
    key = "%DYNAMIC_METADATA(envoy.filters.http.rbac:{})%"
    for route in routes:
        route["response_headers_to_add"] = [
            {"header": {"key": "x-by", "value": key.format("policy_enforced_effective_policy_id")}},
            {"header": {"key": "x-audit", "value": key.format("audit_shadow_effective_policy_id")}},
        ]
    made = policed.resources.values()
    inner = [decode(each) for each in made if each.type_url == building.LISTENER]
    clusters = [decode(each) for each in made if each.type_url == building.CLUSTER]

    def listener(namespace: str) -> dict[str, Any]:
        return _listener(folder / f"http{namespace}.sock", filters.of_calls(namespace), routes)

    listeners = [listener(each) for each in ("", *policed.spaces)]
    kind = "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener"
    resources = {"listeners": [*listeners, *inner], "clusters": clusters}
    return {
        "node": {"id": "t", "cluster": "t"},
        "bootstrap_extensions": [{"name": "inner", "typed_config": {"@type": kind}}],
        "static_resources": inlined(resources, policed),
    }


def _listener(
    path: Path, own: list[dict[str, Any]], routes: list[dict[str, Any]]
) -> dict[str, Any]:
    prefix = "type.googleapis.com/envoy.extensions.filters"
    denied = {"op": "EQ", "value": {"default_value": 403, "runtime_key": "x"}}
    answer = {
        "filter": {"status_code_filter": {"comparison": denied}},
        "body_format_override": {
            "text_format_source": {"inline_string": "%RESPONSE_CODE_DETAILS%"}
        },
    }
    hosts = [{"name": "all", "domains": ["*"], "routes": routes}]
    manager = {
        "@type": f"{prefix}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "test",
        "local_reply_config": {"mappers": [answer]},
        "http_filters": [
            *own,
            {"name": "router", "typed_config": {"@type": f"{prefix}.http.router.v3.Router"}},
        ],
        "route_config": {"virtual_hosts": hosts},
    }
    return {
        "name": path.stem,
        "address": {"pipe": {"path": str(path)}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def is_listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as tried:
        return tried.connect_ex(str(path)) == 0


class Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


@pytest.fixture(scope="module")
def drawn() -> dict[str, tuple[Policy, ...]]:
    return {f"n{number}": policies(drawing(number), f"n{number}") for number in range(CASES)}


Connect = Callable[[str], Connection]
"""Returns a connection to the listener of a namespace; "" is the one for callers from anywhere."""


@pytest.fixture(scope="module")
def connect(drawn: dict[str, tuple[Policy, ...]]) -> Iterator[Connect]:
    changed = {name: (own, pods(name)) for name, own in drawn.items()}
    policed, _ = programming.program(Policed(), changed, (), None)
    with tempfile.TemporaryDirectory(prefix="outgate-p-") as text, contextlib.ExitStack() as opened:
        folder = Path(text)
        (folder / "envoy.json").write_text(json.dumps(bootstrap(folder, policed)))
        flags = ("-l", "warning", "--concurrency", "1", "--disable-hot-restart")
        command = [str(binary.find()), "-c", str(folder / "envoy.json"), *flags]
        with (
            (folder / "log").open("w") as log,
            subprocess.Popen(command, stderr=log, stdout=log) as running,
        ):
            sockets = {each: folder / f"http{each}.sock" for each in ("", *drawn)}

            @functools.cache
            def to(namespace: str) -> Connection:
                return opened.enter_context(contextlib.closing(Connection(sockets[namespace])))

            try:
                deadline = time.monotonic() + 40
                while not all(map(is_listening, sockets.values())):
                    assert running.poll() is None, (folder / "log").read_text()
                    assert time.monotonic() < deadline, (folder / "log").read_text()
                    time.sleep(0.05)
                assert "rejected" not in (folder / "log").read_text()
                yield to
            finally:
                running.terminate()


@pytest.mark.parametrize("own_listener", [False, True])
def test_envoy_decides_as_the_model_does(
    drawn: dict[str, tuple[Policy, ...]], connect: Connect, own_listener: bool
) -> None:
    decisions = set()
    for number, (namespace, own) in enumerate(drawn.items()):
        connection = connect(namespace if own_listener else "")
        chosen = drawing(1000 + number)
        for _ in range(CALLS):
            caller = chosen.choice(pods(namespace))
            (place, source), host = chosen.choice(tuple(DESTINATIONS.items()))
            port, path = chosen.choice((80, 443)), chosen.choice(PATHS)
            headers = chosen.choice(
                ({}, {"x-a": "b"}, {"x-a": "bc"}, {"x-a": "c, b"}, {"x-a": "b,c"})
            )
            method = chosen.choice(("GET", "POST", "DELETE"))
            call = Call(
                place, source, host, port, True, method, path.partition("?")[0], headers=headers
            )
            said = {
                "x-to": f"{place}/{source}",
                naming.NAMESPACE_HEADER: namespace,
                naming.POD_HEADER: caller.name.name,
                naming.PORT_HEADER: str(port),
            }
            connection.request(method, path, headers=headers | said)
            response = connection.getresponse()
            body = response.read().decode()
            wanted = evaluate(own, caller, call)
            what = (own, caller, call)
            decisions.add((wanted.allowed, wanted.by.partition("/")[0]))
            assert response.status == (200 if wanted.allowed else 403), (what, body)
            if wanted.allowed:
                # Where a namespace has none, nothing needs to be decided.
                by = response.headers["x-by"] or ("" if own else wanted.by)
                assert by == wanted.by, what
                assert (response.headers["x-audit"] or "") == wanted.audit, what
            else:
                by = wanted.by.replace(" ", "_")
                assert body == f"rbac_access_denied_matched_policy[{by}]", what
    assert decisions == {
        (True, "declared"),
        (True, "egresspolicy"),
        (False, NO_RULE),
        (False, "egresspolicy"),
    }


@pytest.mark.parametrize(
    ("headers", "by"),
    [
        ({naming.POD_HEADER: "nobody", "x-to": "tools/service/bin"}, UNKNOWN_POD),
        ({naming.POD_HEADER: "a"}, NOT_DECLARED),
        ({naming.POD_HEADER: "a", naming.NAMESPACE_HEADER: "elsewhere"}, NOT_DECLARED),
    ],
)
def test_what_is_not_known_is_denied(
    drawn: dict[str, tuple[Policy, ...]],
    connect: Connect,
    headers: dict[str, str],
    by: str,
) -> None:
    connection = connect("")
    enforced = next(name for name, own in drawn.items() if any(p.mode is Mode.ENFORCE for p in own))
    connection.request("GET", "/", headers={naming.NAMESPACE_HEADER: enforced} | headers)
    response = connection.getresponse()
    by = by.replace(" ", "_")
    assert response.read().decode() == f"rbac_access_denied_matched_policy[{by}]"
    assert response.status == 403
