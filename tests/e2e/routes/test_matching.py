"""Which rule a call falls under, and whose declaration, with real calls through a real Envoy."""

import pytest
from tests.e2e.routes.loopback import Envoy

pytestmark = [pytest.mark.envoy, pytest.mark.timeout(120)]


class TestMatching:
    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ("/exact", "exact"),
            ("/exact?q=1", "exact"),
            ("/exact/", "404"),
            ("/cASE", "case"),
            ("/parts", "parts"),
            ("/parts/x", "parts"),
            ("/partsx", "404"),
            ("/beginning", "begin"),
            ("/a/b.png?x", "suffix"),
            ("/v12", "regex"),
            ("/v12/x", "404"),
            ("/parts/../exact", "exact"),
            ("/parts/%2e%2e/exact", "exact"),
            ("/parts/%2E%2e/other", "404"),
        ],
    )
    def test_paths(self, envoy: Envoy, asked: str, expected: str) -> None:
        answer = envoy.call("paths.test", asked)
        assert (answer.text if answer.status == 200 else str(answer.status)) == expected

    @pytest.mark.parametrize(
        ("method", "asked", "headers", "expected"),
        [
            ("PATCH", "/", {}, "method"),
            ("GET", "/", {"X-A": "1"}, "header"),
            ("GET", "/", {"X-A": "2"}, "404"),
            ("GET", "/", {"x-b": "b-2"}, "prefix"),
            ("GET", "/", {"x-c": ""}, "present"),
            ("GET", "/?p=2&q=1", {}, "query"),
            ("GET", "/?q=12", {}, "404"),
            ("GET", "/?r=12", {}, "expression"),
            ("GET", "/?r=12x", {}, "404"),
            ("GET", "/not", {}, "neither"),
            ("GET", "/not?s=2", {"x-d": "2"}, "neither"),
            ("GET", "/not?t=1&s=1", {}, "404"),
            ("GET", "/not", {"x-d": "1"}, "404"),
        ],
    )
    def test_methods_headers_and_query(
        self, envoy: Envoy, method: str, asked: str, headers: dict[str, str], expected: str
    ) -> None:
        answer = envoy.call("fields.test", asked, method, headers=headers)
        assert (answer.text if answer.status == 200 else str(answer.status)) == expected

    def test_the_first_rule_that_matches_counts(self, envoy: Envoy) -> None:
        assert envoy.call("order.test", "/x").text == "first"

    def test_a_rule_for_callers_leaves_others_as_they_are(self, envoy: Envoy) -> None:
        assert envoy.call("callers.test", by="b").text == "for b"
        assert envoy.call("callers.test", by="a").seen["server"] == "main"

    def test_what_no_rule_matches_is_told_so(self, envoy: Envoy) -> None:
        answer = envoy.call("paths.test", "/unmatched?secret=1")
        assert answer.status == 404
        assert "kind/paths, but no rule matches this request" in answer.text
        assert "secret" not in answer.text
        line = envoy.log("/unmatched")
        assert (line["decision"], line["resource"]) == ("denied", "kind/paths")
        assert line["reason"] == "no rule matches this request"


class TestHosts:
    """Nobody is led to what another namespace says where its own declares the host."""

    @pytest.mark.parametrize(
        ("host", "by", "expected"),
        [
            ("both.test", "a", "one"),
            ("both.test", "b", "two"),
            # An older one that may be seen is before a younger one.
            ("shared.test", "a", "two"),
            ("shared.test", "b", "two"),
        ],
    )
    def test_each_caller_is_led_to_what_counts_for_it(
        self, envoy: Envoy, host: str, by: str, expected: str
    ) -> None:
        assert envoy.call(host, by=by).seen["server"] == expected

    def test_what_is_not_visible_is_denied(self, envoy: Envoy) -> None:
        assert envoy.call("hidden.test", by="b").status == 200
        answer = envoy.call("hidden.test", by="a", headers={"x-outgate-namespace": "b"})
        assert answer.status == 403

    def test_no_header_of_ours_leaves(self, envoy: Envoy) -> None:
        seen = envoy.call("plain.test").seen
        assert set(seen["headers"]) == {"host", "accept-encoding"}
        assert seen["headers"]["host"] == "plain.test"
