"""What Envoy decides on a call is what the model decides, whatever the policies."""

import contextlib
import http.client
import json
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outgate.envoy import binary
from outgate.model.names import Name
from outgate.model.policies import NO_RULE, Call, evaluate
from outgate.model.workloads import Workload
from outgate.traffic.permitting import (
    Callee,
    Effect,
    LocalLimit,
    Mode,
    Policy,
    PolicyRule,
    Request,
    Share,
    Subject,
)
from outgate.traffic.routing import Comparison, Field, Text
from outgate.xds import building, naming
from outgate.xds.denials import NOT_DECLARED
from outgate.xds.policing import filters, programming
from outgate.xds.policing.calls import UNKNOWN_POD
from outgate.xds.policing.programming import Policed
from outgate.xds.rendering import decode

pytestmark = pytest.mark.envoy

CASES, CALLS = 60, 40
DESTINATIONS = {
    ("tools", "externalservice/github"): "api.github.com",
    ("tools", "service/bin"): "httpbin.org",
    ("shop", "externalservice/github"): "api.github.com",
    ("shop", "serviceentry/raw"): "raw.github.com",
    ("shop", "service/inside"): "",
}
PATHS = (
    "/",
    "/repos",
    "/repos/a",
    "/reposes",
    "/repos/../admin",
    "/repos//a",
    "/admin",
    "/%61dmin",
    "/x;y",
    "/q?a=/b",
    "/x:kill",
    "/x%3Akill",
    "/x%zz",
    "/%c0%ae",
)
TEXTS = (
    Text(Comparison.EXACT, "/admin"),
    Text(Comparison.PREFIX, "/repos"),
    Text(Comparison.PATH_PREFIX, "/repos"),
    Text(Comparison.SUFFIX, "a"),
    Text(Comparison.SUFFIX, ":kill"),
    Text(Comparison.REGEX, "/r.*|/admin"),
    Text(Comparison.EXACT, "/ADMIN", ignore_case=True),
    Text(Comparison.REGEX, "/REPOS.*", ignore_case=True),
)
HEADERS = (
    Field("x-a", Text(Comparison.EXACT, "b")),
    Field("x-a", Text(Comparison.PRESENT)),
    Field("X-A", Text(Comparison.EXACT, "b"), inverted=True),
    Field("x-a", Text(Comparison.PREFIX, "B", ignore_case=True)),
    Field("x-a", Text(Comparison.REGEX, "b|d")),
    Field("x-a", Text(Comparison.SUFFIX, "b")),
)
SUBJECTS = (
    Subject(),
    Subject({"app": "a"}),
    Subject({"app": "b"}),
    Subject({}, ("builder",)),
    Subject({"app": "a"}, ("builder", "default")),
)
CALLEES = (
    Callee(),
    Callee(ports=(80,)),
    Callee(host="api.github.com"),
    Callee(host="*.github.com", ports=(443, 80)),
    Callee(host="*.com"),
    *(
        Callee(source.partition("/")[0], place, source.partition("/")[2])
        for place, source in DESTINATIONS
    ),
    Callee("ExternalService", "", "github", ports=(443,)),
)


def pods(namespace: str) -> tuple[Workload, ...]:
    return (
        Workload(Name(namespace, "a"), "", "default", {"app": "a"}),
        Workload(Name(namespace, "b"), "", "builder", {"app": "b"}),
        Workload(Name(namespace, "c"), "", "builder", {"app": "a", "x": "y"}),
    )


def drawing(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - the same each time


def some(chosen: random.Random, values: tuple[Any, ...], most: int) -> tuple[Any, ...]:
    return tuple(chosen.sample(values, chosen.randint(0, min(most, len(values)))))


def a_request(chosen: random.Random) -> Request:
    methods = some(chosen, ("GET", "POST", "DELETE"), 2)
    return Request(methods, some(chosen, TEXTS, 2), some(chosen, HEADERS, 1))


def a_rule(chosen: random.Random) -> PolicyRule:
    effect = chosen.choice((Effect.ALLOW, Effect.ALLOW, Effect.DENY))
    requests = tuple(a_request(chosen) for _ in range(chosen.choice((0, 0, 1, 2))))
    limited = effect is Effect.ALLOW and chosen.random() < 0.2
    limit = LocalLimit(1_000_000, 1.0, share=chosen.choice(tuple(Share))) if limited else None
    return PolicyRule(effect, some(chosen, CALLEES, 3), requests, limit)


def policies(chosen: random.Random, namespace: str) -> tuple[Policy, ...]:
    return tuple(
        Policy(
            namespace,
            f"p{chosen.randint(0, 99)}-{number}",
            chosen.choice(SUBJECTS),
            tuple(a_rule(chosen) for _ in range(chosen.randint(0, 4))),
            chosen.choice((Mode.ENFORCE, Mode.ENFORCE, Mode.AUDIT)),
        )
        for number in range(chosen.randint(0, 4))
    )


def extension(folder: Path, entry: dict[str, Any], policed: Policed) -> dict[str, Any]:
    """The filter of a listener, with what it asks for in a file."""
    config = decode(policed.resources[building.EXTENSION, entry["name"]])
    path = folder / f"{entry['name']}.json"
    kind = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
    path.write_text(json.dumps({"resources": [{"@type": kind, **config}]}))
    entry["config_discovery"]["config_source"] = {"path_config_source": {"path": str(path)}}
    return entry


def bootstrap(folder: Path, policed: Policed) -> dict[str, Any]:
    prefix = "type.googleapis.com/envoy.extensions.filters"
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
            *(extension(folder, each, policed) for each in filters.of_calls()),
            {"name": "router", "typed_config": {"@type": f"{prefix}.http.router.v3.Router"}},
        ],
        "route_config": {"virtual_hosts": hosts},
    }
    listener = {
        "name": "test",
        "address": {"pipe": {"path": str(folder / "http.sock")}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    made = policed.resources.values()
    listeners = [decode(each) for each in made if each.type_url == building.LISTENER]
    clusters = [decode(each) for each in made if each.type_url == building.CLUSTER]
    inner = "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener"
    return {
        "node": {"id": "t", "cluster": "t"},
        "bootstrap_extensions": [{"name": "inner", "typed_config": {"@type": inner}}],
        "static_resources": {"listeners": [listener, *listeners], "clusters": clusters},
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


@pytest.fixture(scope="module")
def connection(drawn: dict[str, tuple[Policy, ...]]) -> Iterator[Connection]:
    changed = {name: (own, pods(name)) for name, own in drawn.items()}
    policed, _ = programming.program(Policed(), changed, (), None)
    with tempfile.TemporaryDirectory(prefix="outgate-p-") as text:
        folder = Path(text)
        (folder / "envoy.json").write_text(json.dumps(bootstrap(folder, policed)))
        flags = ("-l", "warning", "--concurrency", "1", "--disable-hot-restart")
        command = [str(binary.find()), "-c", str(folder / "envoy.json"), *flags]
        with (
            (folder / "log").open("w") as log,
            subprocess.Popen(command, stderr=log, stdout=log) as running,
        ):
            try:
                deadline = time.monotonic() + 20
                while not is_listening(folder / "http.sock"):
                    assert running.poll() is None, (folder / "log").read_text()
                    assert time.monotonic() < deadline, (folder / "log").read_text()
                    time.sleep(0.05)
                assert "rejected" not in (folder / "log").read_text()
                with contextlib.closing(Connection(folder / "http.sock")) as opened:
                    yield opened
            finally:
                running.terminate()


def test_envoy_decides_as_the_model_does(
    drawn: dict[str, tuple[Policy, ...]], connection: Connection
) -> None:
    decisions = set()
    for number, (namespace, own) in enumerate(drawn.items()):
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
                assert response.headers["x-by"] == wanted.by, what
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
    connection: Connection,
    headers: dict[str, str],
    by: str,
) -> None:
    enforced = next(name for name, own in drawn.items() if any(p.mode is Mode.ENFORCE for p in own))
    connection.request("GET", "/", headers={naming.NAMESPACE_HEADER: enforced} | headers)
    response = connection.getresponse()
    by = by.replace(" ", "_")
    assert response.read().decode() == f"rbac_access_denied_matched_policy[{by}]"
    assert response.status == 403
