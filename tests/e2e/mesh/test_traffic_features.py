"""What can be said of HTTP calls, by ExternalService: each host stands for one thing, and leads to servers outside."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.mesh.saying import external, policy
from tests.e2e.mesh.spaces import Space
from tests.outside.calling import Answer
from tests.outside.control import Outside

pytestmark = [pytest.mark.root, pytest.mark.envoy]
MATCHES: list[dict[str, Any]] = [
    {"path": {"exact": "/exact"}},
    {"path": {"prefix": "/parts"}},
    {"path": {"regex": "/v[0-9]+"}},
    {"methods": ["PUT"]},
    {"headers": [{"name": "x-a", "exact": "1"}]},
    {"query": [{"name": "q", "exact": "1"}]},
]
CASES: dict[str, dict[str, Any]] = {
    "matches": {
        "rules": [
            *(
                {"matches": [each], "directResponse": {"status": 200, "body": str(number)}}
                for number, each in enumerate(MATCHES)
            ),
            {"directResponse": {"status": 404, "body": "none"}},
        ]
    },
    "timeout": {"timeouts": {"request": "300ms"}},
    "idle": {"timeouts": {"idle": "300ms"}},
    "retries": {"retries": {"attempts": 2, "statuses": [429], "backoff": {"base": "1ms"}}},
    "attempt": {"retries": {"attempts": 1, "perTryTimeout": "500ms", "retryOn": ["5xx"]}},
    "abort": {"fault": {"abort": {"status": 418, "percent": 100}}},
    "delay": {
        "rules": [
            {
                "matches": [{"headers": [{"name": "x-slow", "exact": "1"}]}],
                "fault": {"delay": {"duration": "400ms"}},
            }
        ]
    },
    "headers": {
        "requestHeaders": {"set": {"x-set": "new"}, "add": {"x-add": "more"}, "remove": ["x-gone"]},
        "responseHeaders": {"set": {"x-server": "hidden"}},
    },
    "path": {
        "rules": [{"matches": [{"path": {"prefix": "/v1"}}], "rewrite": {"path": "/v2"}}],
    },
    "host": {"rules": [{"rewrite": {"host": "other.test"}}]},
    "redirect": {"rules": [{"redirect": {"scheme": "https", "host": "x.test", "status": 301}}]},
    "limit": {"maxRequestBody": "1Ki"},
    "small": {"decompress": True},
    "mirror": {"rules": [{"mirror": [{"host": "a.many.test", "port": 80}]}]},
    "split": {
        "rules": [
            {
                "backends": [
                    {"host": "a.many.test", "port": 80, "weight": 1},
                    {"host": "b.many.test", "port": 80, "weight": 1},
                ]
            }
        ]
    },
    "failover": {
        "rules": [
            {
                "backends": [
                    {
                        "host": "a.many.test",
                        "port": 80,
                        "failover": [{"host": "b.many.test", "port": 80}],
                    }
                ]
            }
        ]
    },
    "lost": {"rules": [{"backends": [{"host": "nowhere.test", "port": 80}]}]},
}


@pytest.fixture(scope="module")
def called(mesh: Any, outside: Outside) -> Iterator[Space]:
    outside.open("web", "many-a", "many-b")
    space = Space(mesh, "traffic")
    space.apply(
        external("a.many.test"),
        external("b.many.test"),
        *(
            external(f"{name}.test", endpoints=[{"address": "echo.test", "port": 80}], **said)
            for name, said in CASES.items()
        ),
    )
    yield space
    space.end()


def test_requests_are_told_apart(called: Space) -> None:
    asked: list[tuple[str, tuple[str, ...], str]] = [
        ("/exact", (), "0"),
        ("/parts/x", (), "1"),
        ("/partsx", (), "none"),
        ("/x/../parts", ("--path-as-is",), "1"),
        ("/v12", (), "2"),
        ("/", ("-X", "PUT"), "3"),
        ("/", ("-H", "X-A: 1"), "4"),
        ("/?a=2&q=1", (), "5"),
        ("/?q=2", (), "none"),
    ]
    for path, flags, expected in asked:
        assert called.call(f"http://matches.test{path}", *flags).body == expected, path


def test_a_request_and_silence_have_their_time(called: Space) -> None:
    assert called.call("http://timeout.test/").status == 200
    assert called.call("http://timeout.test/?delay=2").status == 504
    assert called.call("http://idle.test/?delay=2").status in (408, 504)


def test_what_fails_is_tried_again(called: Space, outside: Outside) -> None:
    outside.behave("web", path="/again", statuses=[429, 429])
    assert called.call("http://retries.test/again").status == 200
    outside.behave("web", path="/again", statuses=[429, 429, 429])
    assert called.call("http://retries.test/again").status == 429
    outside.behave("web", path="/again", statuses=[503])
    # Of this nothing is said: it may have been acted upon.
    assert called.call("http://retries.test/again").status == 503
    outside.behave("web")


def test_an_attempt_has_its_time(called: Space) -> None:
    answer = called.call("http://attempt.test/?delay=2")
    assert answer.status == 504
    # Two attempts.
    assert 1 <= answer.seconds < 2


def test_faults(called: Space) -> None:
    assert called.call("http://abort.test/").status == 418
    begun = time.monotonic()
    assert called.call("http://delay.test/", "-H", "x-slow: 1").seconds >= 0.4
    assert time.monotonic() - begun < 5
    assert called.call("http://delay.test/").seconds < 0.4


def test_a_fault_is_for_who_may_call(space: Space, outside: Outside) -> None:
    outside.open("web")
    space.apply(
        external("abort.test", endpoints=[{"address": "echo.test", "port": 80}], **CASES["abort"]),
        policy("readers", {"to": [{"host": "abort.test"}], "http": [{"methods": ["GET"]}]}),
    )
    assert space.call("http://abort.test/").status == 418
    assert space.call("http://abort.test/", "-X", "DELETE").status == 403
    for status, decision in ((418, "allowed"), (403, "denied")):
        assert space.line(status=status)["decision"] == decision


def test_headers_are_changed(called: Space) -> None:
    answer = called.call(
        "http://headers.test/", "-H", "x-set: old", "-H", "x-gone: 1", "-H", "x-add: 1"
    )
    assert answer.seen["x-set"] == ["new"]
    assert answer.seen["x-add"] == ["1", "more"]
    assert "x-gone" not in answer.seen
    assert answer.header("x-server") == "hidden"


def test_path_and_host_are_changed(called: Space) -> None:
    assert called.call("http://path.test/v1/x?q=1").json()["path"] == "/v2/x?q=1"
    assert called.call("http://path.test/v3").json()["path"] == "/v3"
    assert called.call("http://host.test/").json()["host"] == "other.test"
    assert called.call("http://path.test/").json()["host"] == "path.test"


def test_a_redirect(called: Space) -> None:
    answer = called.call("http://redirect.test/a?b=1")
    assert (answer.status, answer.header("location")) == (301, "https://x.test/a?b=1")


def test_a_body_may_be_so_long(called: Space) -> None:
    assert called.call("http://limit.test/", "-d", "x" * 1024).json()["size"] == 1024
    assert called.call("http://limit.test/", "-d", "x" * 1025).status == 413


def test_answers_are_compressed_off_the_wire_alone(called: Space, outside: Outside) -> None:
    before = len(outside.internet.canary(0))
    answer = called.call("http://small.test/?bytes=5000")
    assert answer.json()["more"] == "x" * 5000
    assert answer.header("content-encoding") == ""
    (seen,) = outside.seen(before, "request", "web")
    assert {"gzip", "br"} <= set(seen["headers"]["accept-encoding"].replace(" ", "").split(","))
    # Who asks itself gets what it asks for.
    for coding in ("gzip", "br"):
        answer = called.call(
            "http://small.test/", "-H", f"accept-encoding: {coding}", "-o", "/dev/null"
        )
        assert answer.header("content-encoding") == coding


def test_copies_go_to_a_mirror(called: Space, outside: Outside) -> None:
    before = len(outside.internet.canary(0))
    assert called.call("http://mirror.test/copied").json()["server"] == "web"
    deadline = time.monotonic() + 5
    while not (seen := outside.seen(before, "request", "many-a")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert seen[0]["path"] == "/copied"
    assert seen[0]["headers"]["host"] == "a.many.test"
    assert not [each for each in seen[0]["headers"] if each.startswith("x-outgate")]


def test_calls_are_split(called: Space) -> None:
    url = "http://split.test/"
    found = [called.call(url) for _ in range(16)]
    assert {each.json()["server"] for each in found} == {"many-a", "many-b"}
    for each in found:
        letter = each.json()["server"].removeprefix("many-")
        assert each.json()["host"] == f"{letter}.many.test"


def test_calls_fail_over(called: Space, outside: Outside) -> None:
    def answer() -> Answer:
        return called.call("http://failover.test/")

    assert answer().json()["host"] == "a.many.test"
    outside.internet.pause("many-a")
    try:
        deadline = time.monotonic() + 20
        while (found := answer()).status != 200:
            assert time.monotonic() < deadline, found
        # The Host is that of whoever answers.
        assert (found.json()["server"], found.json()["host"]) == ("many-b", "b.many.test")
    finally:
        outside.internet.resume("many-a")


def test_grpc_is_tried_again_and_its_streams_go_on(called: Space, outside: Outside) -> None:
    outside.open("grpc")
    called.apply(
        external(
            "rpc.test",
            ports=["GRPC:50051"],
            endpoints=[{"address": "grpc.test"}],
            retries={"attempts": 2, "retryOn": ["unavailable"]},
            timeouts={"request": "1s"},
        )
    )
    before = len(outside.internet.canary(0))
    said = called.grpc("rpc.test:50051", "Unary", "", x_status="14", x_bare="1")
    assert said["code"] == "UNAVAILABLE"
    assert len(outside.seen(before, "request", "grpc")) == 3
    said = called.grpc("rpc.test:50051", "Chat", "a", "b", "c")
    assert (said["messages"], said["code"]) == ([*"abc"], "OK")
    said = called.grpc("rpc.test:50051", "Unary", "", x_delay="2", x_bare="1")
    assert said["code"] in ("DEADLINE_EXCEEDED", "UNAVAILABLE")


def test_backends_come_on_demand_and_one_that_is_not_there_is_not_waited_for(
    stopped_mesh: Any, outside: Outside
) -> None:
    outside.open("web", "many-a", "many-b")
    stopped_mesh.environment["OUTGATE_EAGER_SERVICES"] = "0"
    stopped_mesh.up()
    space = Space(stopped_mesh, "demand")
    lost = {"host": "nowhere.test", "port": 80}
    there = {"host": "a.many.test", "port": 80}
    space.apply(
        external("a.many.test"),
        external("half.test", rules=[{"backends": [there, lost]}]),
        *(external(f"{name}.test", **CASES[name]) for name in ("split", "mirror", "failover")),
        external("b.many.test"),
    )
    try:
        found = [space.call("http://split.test/").json()["server"] for _ in range(16)]
        assert set(found) == {"many-a", "many-b"}
        assert space.call("http://failover.test/").json()["server"] == "many-a"
        halves = [space.call("http://half.test/") for _ in range(16)]
        assert {each.status for each in halves} == {200, 500}
        assert max(each.seconds for each in halves) < 2
    finally:
        space.end()


def test_what_leads_nowhere_fails_and_says_so(called: Space) -> None:
    answer = called.call("http://lost.test/")
    assert answer.status == 500
    assert (
        "declared by externalservice/lost-test, but the rule leads only to what is not"
        in answer.body
    )
    line = called.line(destination="lost.test")
    assert line["resource"] == line["rule"] == "externalservice/lost-test"


def test_a_websocket_goes_over_http_2_where_the_port_says_so(
    called: Space, outside: Outside
) -> None:
    outside.open("h2")
    called.apply(external("chat.test", ports=["HTTP2:80"], endpoints=[{"address": "h2.test"}]))
    said = called.websocket("http://chat.test/", "hello", protocols=["http-1.1", "http-2"])
    assert (said["received"], said["protocol"]) == (["hello"], "http-2")
