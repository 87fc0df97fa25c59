"""What a rule can say of a call, with real calls through a real Envoy."""

import contextlib
import socket
import time

import h2.connection
import h2.events
import pytest
from tests.e2e.routes.loopback import Envoy

pytestmark = [pytest.mark.envoy, pytest.mark.timeout(120)]


class TestTime:
    def test_a_request_has_its_time(self, envoy: Envoy) -> None:
        assert envoy.call("request-timeout.test", "/slow/always").status == 504
        assert envoy.call("request-timeout.test", "/x").status == 200

    def test_silence_ends_a_request_and_a_stream_goes_on(self, envoy: Envoy) -> None:
        assert envoy.call("idle-timeout.test", "/slow/always").status in (408, 504)
        assert envoy.call("idle-timeout.test", "/lines").text.split() == ["0", "1", "2", "3"]

    def test_an_attempt_has_its_time(self, envoy: Envoy) -> None:
        assert envoy.call("per-try.test", "/slow/try").seen["attempt"] == 2

    def test_hedging_does_not_wait_for_the_slow_one(self, envoy: Envoy) -> None:
        begun = time.monotonic()
        assert envoy.call("hedge.test", "/slow/hedge").seen["attempt"] == 2
        assert time.monotonic() - begun < 0.9


class TestRetries:
    def test_a_status_that_is_named_is_tried_again(self, envoy: Envoy) -> None:
        assert envoy.call("statuses.test", "/fail/429").seen["attempt"] == 2
        assert envoy.call("statuses.test", "/fail/503/x").status == 503

    def test_without_rules_an_answer_is_an_answer(self, envoy: Envoy) -> None:
        assert envoy.call("plain.test", "/fail/503/plain").status == 503
        assert envoy.call("no-retries.test", "/fail/503/none").status == 503


class TestFaults:
    def test_delay_and_abort(self, envoy: Envoy) -> None:
        begun = time.monotonic()
        assert envoy.call("fault.test", headers={"x-delay": "1"}).status == 200
        assert time.monotonic() - begun >= 0.4
        assert envoy.call("fault.test").status == 418
        content = {"content-type": "application/grpc", "x-grpc": "1"}
        assert envoy.call("fault.test", headers=content).headers["grpc-status"] == "14"

    def test_a_share(self, envoy: Envoy) -> None:
        found = [envoy.call("fault.test", headers={"x-half": "1"}).status for _ in range(60)]
        assert 10 < found.count(503) < 50
        assert set(found) == {200, 503}


class TestEdits:
    def test_headers(self, envoy: Envoy) -> None:
        answer = envoy.call(
            "edits.test", headers={"x-put": "old", "x-add": "1", "x-remove": "1", "cookie": "c"}
        )
        seen = answer.seen["headers"]
        # What users write is no format of Envoy's.
        assert seen["x-put"] == "new %REQ(cookie)% 100%"
        assert seen["x-add"] == "1,2"
        assert "x-remove" not in seen
        assert answer.headers["x-server"] == "hidden"
        assert answer.headers["x-more"] == "1"
        assert "content-type" not in answer.headers

    @pytest.mark.parametrize(
        ("host", "asked", "expected"),
        [
            ("prefix.test", "/old/x?q=1", "/new/x?q=1"),
            ("prefix.test", "/old", "/new"),
            ("prefix.test", "/old/", "/new/"),
            ("prefix.test", "/cut/x", "/x"),
            ("prefix.test", "/cut", "/"),
            ("prefix.test", "/literal", "/LITeral"),
            ("prefix.test", "/any", "/base/any"),
            ("whole.test", "/x/y?q=1", "/all?q=1"),
            ("regex.test", "/u/me/at/home?q=1", "/at/home/me?q=1"),
        ],
    )
    def test_paths(self, envoy: Envoy, host: str, asked: str, expected: str) -> None:
        assert envoy.call(host, asked).seen["path"] == expected

    def test_host(self, envoy: Envoy) -> None:
        assert envoy.call("whole.test").seen["headers"]["host"] == "other.test"

    def test_redirects(self, envoy: Envoy) -> None:
        answer = envoy.call("redirect.test", "/moved/x?q=1")
        assert answer.status == 301
        location = f"http://redirect.test:{envoy.ports['a']}/there/x?q=1"
        assert answer.headers["location"] == location
        answer = envoy.call("redirect.test", "/")
        assert (answer.status, answer.headers["location"]) == (308, "https://secure.test/p")

    def test_an_answer_of_the_egress(self, envoy: Envoy) -> None:
        answer = envoy.call("answer.test")
        assert (answer.status, answer.text, answer.headers["x-why"]) == (451, "100% no", "law")


class TestBackends:
    def test_a_copy_goes_to_the_mirror(self, envoy: Envoy) -> None:
        assert envoy.call("mirror.test", "/copy").seen["server"] == "main"
        deadline = time.monotonic() + 5
        while "/copy" not in envoy.servers.by_name["two"].calls and time.monotonic() < deadline:
            time.sleep(0.02)
        assert "/copy" in envoy.servers.by_name["two"].calls

    def test_shares(self, envoy: Envoy) -> None:
        found = [envoy.call("split.test") for _ in range(80)]
        ones = [each for each in found if each.seen["server"] == "one"]
        twos = [each for each in found if each.seen["server"] == "two"]
        assert 5 < len(ones) < 40
        assert len(ones) + len(twos) == 80
        for each in ones:
            assert each.seen["headers"]["x-to"] == "one"
            assert each.seen["headers"]["host"] == "one.test"
            assert "x-from" not in each.headers
        for each in twos:
            assert each.headers["x-from"] == "two"
            assert each.seen["headers"]["host"] == "two.test"
            assert "x-to" not in each.seen["headers"]

    def test_the_host_is_that_of_the_backend(self, envoy: Envoy) -> None:
        seen = envoy.call("backend.test").seen
        assert (seen["server"], seen["headers"]["host"]) == ("one", "one.test")

    def test_a_backend_that_is_not_there_fails_its_share(self, envoy: Envoy) -> None:
        found = [envoy.call("half.test").status for _ in range(40)]
        assert set(found) == {200, 500}
        answer = envoy.call("lost.test", "/lost")
        assert answer.status == 500
        assert "kind/lost, but the rule leads only to what is not declared" in answer.text
        assert envoy.log("/lost")["rule"] == "httproute/lost"


class TestBodies:
    def test_a_body_that_is_too_long_is_refused(self, envoy: Envoy) -> None:
        assert envoy.call("body.test", "/", "POST", body=b"x" * 1000).seen["size"] == 1000
        assert envoy.call("body.test", "/", "POST", body=b"x" * 1001).status == 413
        assert envoy.call("plain.test", "/", "POST", body=b"x" * 200_000).seen["size"] == 200_000

    @pytest.mark.parametrize("asked", ["gzip", "br", "identity"])
    def test_what_the_application_asks_for_is_left_as_it_is(self, envoy: Envoy, asked: str) -> None:
        seen = envoy.call("small.test", headers={"accept-encoding": asked}).seen
        assert seen["headers"]["accept-encoding"] == asked


class TestRings:
    @pytest.mark.parametrize("headers", [{"x-user": "u"}, {"cookie": "c=1"}])
    def test_the_same_is_led_to_the_same(self, envoy: Envoy, headers: dict[str, str]) -> None:
        found = {envoy.call("ring.test", headers=headers).seen["server"] for _ in range(12)}
        assert len(found) == 1

    def test_others_are_led_elsewhere(self, envoy: Envoy) -> None:
        found = {
            envoy.call("ring.test", headers={"x-user": str(each)}).seen["server"]
            for each in range(40)
        }
        assert len(found) == 3

    def test_a_cookie_is_set(self, envoy: Envoy) -> None:
        answer = envoy.call("ring.test")
        assert answer.headers["set-cookie"].startswith("c=")

    def test_a_pod_is_led_to_the_same(self, envoy: Envoy) -> None:
        assert len({envoy.call("pods.test").seen["server"] for _ in range(12)}) == 1


class TestUpgrades:
    @pytest.mark.parametrize("host", ["plain.test", "body.test", "small.test", "backend.test"])
    async def test_a_websocket_is_passed_on(self, envoy: Envoy, host: str) -> None:
        (first, second) = await envoy.chat(host, "/ws", "x", "y")
        assert first.endswith(": x")
        assert second.endswith(": y")

    async def test_it_outlives_the_time_of_a_connection(self, envoy: Envoy) -> None:
        """At a tunnel's end, where a client is to go elsewhere after some time: by itself, and between two requests."""
        answers = await envoy.chat("plain.test", "/ws", "x", "y", by="late", pause=1.5)
        assert answers == ["main: x", "main: y"]

    def test_it_may_come_in_a_stream_of_http_2(self, envoy: Envoy) -> None:
        assert extended_connect(envoy.ports["a"], "plain.test", "/ws") == "200"

    async def test_silence_alone_ends_it(self, envoy: Envoy) -> None:
        assert len(await envoy.chat("request-timeout.test", "/ws", "x")) == 1


def extended_connect(port: int, host: str, path: str) -> str:
    """Ask for a WebSocket as RFC 8441 has it, and return the status."""
    connection = h2.connection.H2Connection()
    connection.initiate_connection()
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(connection.data_to_send())
        stream, asked = connection.get_next_available_stream_id(), False
        while data := client.recv(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    found = {bytes(key): bytes(value) for key, value in event.headers}
                    return found[b":status"].decode()
                if isinstance(event, h2.events.RemoteSettingsChanged) and not asked:
                    asked = True
                    connection.send_headers(
                        stream,
                        [
                            (":method", "CONNECT"),
                            (":protocol", "websocket"),
                            (":scheme", "http"),
                            (":authority", host),
                            (":path", path),
                            ("sec-websocket-version", "13"),
                        ],
                    )
            client.sendall(connection.data_to_send())
    return ""


def test_http_1_0(envoy: Envoy) -> None:
    with contextlib.closing(socket.create_connection(("127.0.0.1", envoy.ports["a"]))) as client:
        client.sendall(b"GET /old HTTP/1.0\r\nHost: plain.test\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.0 200")
