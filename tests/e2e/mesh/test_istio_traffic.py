"""What VirtualServices and DestinationRules make of calls, with real traffic."""

import pytest
from tests.e2e.mesh.saying import entry, routes, rule
from tests.e2e.mesh.spaces import Space
from tests.outside.calling import Answer
from tests.outside.control import Outside

pytestmark = [pytest.mark.root, pytest.mark.envoy]

ECHO = "echo.test"


def test_retries(space: Space, outside: Outside) -> None:
    outside.open("web")
    space.apply(
        entry(ECHO, "80/HTTP"),
        routes(
            {
                "match": [{"uri": {"prefix": "/tried"}}],
                "retries": {
                    "attempts": 3,
                    "retryOn": "503",
                    "perTryTimeout": "1s",
                    "backoff": "1ms",
                },
            },
            {"retries": {"attempts": 0}},
        ),
    )
    before = len(outside.internet.canary())
    outside.behave("web", statuses=(503, 503), path="/tried")
    assert space.call("http://echo.test/tried").status == 200
    assert len(outside.seen(before, "request", "web")) == 3
    outside.behave("web", statuses=(503, 503), path="/once")
    assert space.call("http://echo.test/once").status == 503
    outside.behave("web")


def test_faults(space: Space, outside: Outside) -> None:
    outside.open("web")
    always = {"percentage": {"value": 100}}
    space.apply(
        entry(ECHO, "80/HTTP"),
        routes(
            {
                "match": [{"headers": {"end-user": {"exact": "jason"}}}],
                "fault": {"abort": {"httpStatus": 555, **always}},
            },
            {
                "match": [{"uri": {"prefix": "/slow"}}],
                "fault": {"delay": {"fixedDelay": "0.7s", **always}},
            },
            {},
        ),
    )
    assert space.call("http://echo.test/", "-H", "end-user: jason").status == 555
    assert space.call("http://echo.test/").status == 200
    slow = space.call("http://echo.test/slowly")
    assert slow.status == 200
    assert slow.seconds > 0.6


def test_mirror(space: Space, outside: Outside) -> None:
    outside.open("web", "many-a")
    space.apply(
        entry(ECHO, "80/HTTP"),
        entry("a.many.test", "80/HTTP"),
        routes({"mirror": {"host": "a.many.test"}, "mirrorPercentage": {"value": 100}}),
    )
    before = len(outside.internet.canary())
    assert space.call("http://echo.test/copied").json()["server"] == "web"
    space.exec("sleep", "0.5")
    assert [each["path"] for each in outside.seen(before, "request", "many-a")] == ["/copied"]


def test_split(space: Space, outside: Outside) -> None:
    outside.open("many-a", "many-b")
    shares = [
        {"destination": {"host": "a.many.test"}, "weight": 50},
        {"destination": {"host": "b.many.test"}, "weight": 50},
    ]
    space.apply(
        entry("a.many.test", "80/HTTP"),
        entry("b.many.test", "80/HTTP"),
        routes(
            {"match": [{"uri": {"exact": "/b"}}], "route": shares[1:]},
            {"route": shares},
            hosts=("a.many.test",),
        ),
    )
    said = space.call("http://a.many.test/b").json()
    # The Host stays the one that was called, as in Istio.
    assert (said["server"], said["host"]) == ("many-b", "a.many.test")
    found = {space.call("http://a.many.test/").json()["server"] for _ in range(24)}
    assert found == {"many-a", "many-b"}


def test_what_is_matched_changed_and_answered(space: Space, outside: Outside) -> None:
    outside.open("web")
    space.apply(
        entry(ECHO, "80/HTTP"),
        routes(
            {
                "match": [{"uri": {"prefix": "/old"}, "queryParams": {"v": {"exact": "1"}}}],
                "rewrite": {"uri": "/new", "authority": "ws.test"},
                "headers": {
                    "request": {"set": {"x-said": "yes"}, "remove": ["x-gone"]},
                    "response": {"add": {"x-back": "b"}, "remove": ["x-server"]},
                },
            },
            {
                "match": [{"uri": {"regex": "/moved/[0-9]+"}}],
                "redirect": {"uri": "/there", "authority": "c.example.com"},
            },
            {
                "match": [{"method": {"exact": "DELETE"}, "withoutHeaders": {"x-sure": {}}}],
                "directResponse": {"status": 405, "body": {"string": "not so fast"}},
            },
            {"match": [{"uri": {"exact": "/Some"}, "ignoreUriCase": True}]},
        ),
    )
    said = space.call("http://echo.test/older?v=1", "-H", "x-gone: 1")
    # A prefix is a plain one.
    assert (said.json()["path"], said.json()["host"]) == ("/newer?v=1", "ws.test")
    assert said.seen["x-said"] == ["yes"]
    assert "x-gone" not in said.seen
    assert (said.header("x-back"), said.header("x-server")) == ("b", "")
    moved = space.call("http://echo.test/moved/7")
    assert (moved.status, moved.header("location")) == (301, "http://c.example.com/there")
    assert space.call("http://echo.test/some", "-X", "DELETE").body == "not so fast"
    assert space.call("http://echo.test/some").status == 200
    # What no route is for is not there, as in Istio.
    assert space.call("http://echo.test/other").status == 404


def test_pools(space: Space, outside: Outside) -> None:
    outside.open("web")
    pool = {
        "tcp": {"maxConnections": 1},
        "http": {"http1MaxPendingRequests": 1, "http2MaxRequests": 1},
    }
    space.apply(entry(ECHO, "80/HTTP"), rule(ECHO, {"connectionPool": pool}))
    asked = "curl -s -o /dev/null -w '%{http_code} ' 'http://echo.test/?delay=1' & "
    said = space.exec("sh", "-c", asked * 5 + "wait").split()
    assert sorted(set(said)) == ["200", "503"]


def test_outliers_and_consistent_hash(space: Space, outside: Outside) -> None:
    outside.open("many-a", "many-b", "many-c")
    policy = {
        "loadBalancer": {"consistentHash": {"httpHeaderName": "x-user"}},
        "outlierDetection": {
            "consecutive5xxErrors": 1,
            "interval": "1s",
            "baseEjectionTime": "60s",
            "maxEjectionPercent": 100,
        },
    }
    space.apply(entry("many.test", "80/HTTP"), rule("many.test", policy))

    def ask() -> Answer:
        return space.call("http://many.test/", "-H", "x-user: me")

    server = ask().json()["server"]
    assert {ask().json()["server"] for _ in range(6)} == {server}
    outside.behave(server, status=500)
    assert ask().status == 500
    assert ask().json()["server"] != server
    outside.behave(server)
