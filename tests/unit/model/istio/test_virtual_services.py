"""What VirtualServices mean: which calls they are for, and what becomes of them."""

from typing import Any

import pytest
from tests.unit.model.istio.meaning import (
    API,
    ENTRY,
    assembled,
    errors,
    found,
    made,
    parsed,
    rule,
    rules,
    told,
)

from outgate.model.deriving import declare, source_of
from outgate.resources.istio.resilience import DEFAULT_RETRIES
from outgate.traffic.references import Target
from outgate.traffic.routing import (
    Answer,
    Backend,
    Comparison,
    Edits,
    Fault,
    Field,
    Match,
    Mirror,
    Redirect,
    Retries,
    Rewrite,
    Text,
)


def test_routes_without_a_match_end_with_404() -> None:
    first, last, of_the_entry = rules(
        [{"match": [{"uri": {"prefix": "/v1"}}], "route": [{"destination": {"host": API}}]}]
    )
    assert first.matches == (Match(Text(Comparison.PREFIX, "/v1")),)
    assert first.backends == ()
    assert last.answer == Answer(404)
    assert of_the_entry.source == "serviceentry/it"


def test_a_route_for_everything_has_nothing_after_it() -> None:
    effective = rules([{"timeout": "3s", "route": [{"destination": {"host": API}}]}])
    assert [each.answer for each in effective] == [None, None]


def test_everything_is_matched() -> None:
    match = {
        "uri": {"exact": "/a"},
        "ignoreUriCase": True,
        "method": {"exact": "GET"},
        "headers": {"X-A": {"prefix": "b"}, "x-there": {}},
        "withoutHeaders": {"x-c": {"regex": "d+"}},
        "queryParams": {"q": {"exact": "1"}},
        "authority": {"exact": API},
        "scheme": {"exact": "http"},
        "port": 80,
    }
    one = rule({"match": [match]})
    assert one.ports == (80,)
    assert one.matches == (
        Match(
            path=Text(Comparison.EXACT, "/a", ignore_case=True),
            methods=("GET",),
            headers=(
                Field("x-a", Text(Comparison.PREFIX, "b")),
                Field("x-there", Text(Comparison.PRESENT)),
                Field("x-c", Text(Comparison.REGEX, "d+"), inverted=True),
                Field(":authority", Text(Comparison.EXACT, API)),
            ),
            query=(Field("q", Text(Comparison.EXACT, "1")),),
        ),
    )


def test_matches_of_different_ports_become_rules_of_their_own() -> None:
    found = rules(
        [
            {
                "match": [{"port": 80}, {"port": 8080}, {"port": 80, "uri": {"prefix": "/x"}}],
                "route": [{"destination": {"host": API}}],
            }
        ]
    )
    assert [(each.ports, len(each.matches)) for each in found[:3]] == [
        ((80,), 2),
        ((8080,), 0),
        ((), 0),
    ]


def test_a_split_leads_where_each_share_goes() -> None:
    split = [
        {"destination": {"host": "b.example.com", "port": {"number": 80}}, "weight": 10},
        {"destination": {"host": API}, "weight": 90, "headers": {"request": {"set": {"X-V": "1"}}}},
        {"destination": {"host": "b.example.com"}, "weight": 0},
    ]
    # The Host stays the one that was called, as in Istio.
    assert rules([{"route": split}])[0].rewrite == Rewrite(host=API)
    assert rules([{"route": split}])[0].backends == (
        Backend(Target("default", "b.example.com", 80), 10),
        Backend(Target("default", API), 90, request=Edits(put=(("x-v", "1"),))),
    )


@pytest.mark.parametrize(
    ("retries", "expected"),
    [
        ({"attempts": 0}, Retries(0)),
        ({"attempts": 3}, Retries(3, DEFAULT_RETRIES.on)),
        (
            {
                "attempts": 3,
                "retryOn": "5xx, 429,retriable-status-codes",
                "perTryTimeout": "2s",
                "backoff": "1s",
            },
            Retries(3, ("5xx",), (429,), 2.0, backoff=1.0),
        ),
        (None, DEFAULT_RETRIES),
    ],
)
def test_retries(retries: Any, expected: Retries) -> None:
    assert rule({"retries": retries}).retries == expected


def test_faults() -> None:
    fault = {
        "delay": {"fixedDelay": "5s", "percentage": {"value": 0.1}},
        "abort": {"grpcStatus": "UNAVAILABLE", "percentage": {"value": 50}},
    }
    assert rule({"fault": fault}).fault == Fault(5.0, 0.1, None, 14, 50.0)


def test_a_fault_without_percentage_is_none_as_in_istio_and_said() -> None:
    service = made(
        "VirtualService",
        {
            "hosts": [API],
            "http": [
                {"fault": {"abort": {"httpStatus": 503}}, "route": [{"destination": {"host": API}}]}
            ],
        },
    )
    assert [each.path for each in parsed(service).problems] == [
        "spec.http[0].fault.abort.percentage"
    ]
    assert rule({"fault": {"abort": {"httpStatus": 503}}}).fault is None


@pytest.mark.parametrize(
    ("uri", "whole"),
    [({"prefix": "/a"}, False), ({"exact": "/a"}, True), ({"regex": "/a.*"}, True)],
)
def test_a_rewrite_replaces_what_was_matched(uri: Any, whole: bool) -> None:
    one = rule({"match": [{"uri": uri}], "rewrite": {"uri": "/b", "authority": "c.example.com"}})
    assert one.rewrite == Rewrite("/b", whole, host="c.example.com")


def test_a_host_that_is_set_is_a_rewrite() -> None:
    assert rule({"headers": {"request": {"set": {"Host": "c.example.com"}}}}).rewrite == Rewrite(
        host="c.example.com"
    )


def test_redirects_answers_and_mirrors() -> None:
    redirect = {"authority": "c.example.com", "uri": "/x", "redirectCode": 308}
    assert rules([{"redirect": redirect}])[0].redirect == Redirect(
        host="c.example.com", path="/x", status=308
    )
    # Istio's is 301, where nobody says.
    assert rules([{"redirect": {"prefixRewrite": "/x"}}])[0].redirect == Redirect(
        prefix="/x", status=301
    )
    answer = {"status": 418, "body": {"bytes": "dGVh"}}
    assert rules([{"directResponse": answer}])[0].answer == Answer(418, "tea")
    mirror = {"mirror": {"host": "b.example.com"}, "mirrorPercentage": {"value": 5}}
    assert rule(mirror).mirrors == (Mirror(Target("default", "b.example.com"), 5.0),)


def test_a_route_of_another_namespace_holds_for_its_own_callers_alone() -> None:
    entry = made("ServiceEntry", ENTRY, namespace="shared")
    http = [{"timeout": "1s", "route": [{"destination": {"host": API}}]}]
    service = made("VirtualService", {"hosts": [API], "http": http}, namespace="team")
    first, *_ = found(assembled(entry, service), namespace="shared").rules
    assert first.callers == frozenset(("team",))


def test_a_route_for_other_callers_is_not_made_one_for_its_own() -> None:
    entry = made("ServiceEntry", ENTRY, namespace="shared")
    match = [{"sourceNamespace": "elsewhere"}]
    http = [{"match": match, "fault": {"abort": {"httpStatus": 500, "percentage": {"value": 100}}}}]
    http[0]["route"] = [{"destination": {"host": API}}]
    service = made("VirtualService", {"hosts": [API], "http": http}, namespace="team")
    effective = found(assembled(entry, service), namespace="shared")
    assert all(each.fault is None for each in effective.rules)


def test_a_route_is_exported_to_namespaces() -> None:
    http = [{"route": [{"destination": {"host": API}}]}]
    first, *_ = rules(http, exportTo=[".", "team"])
    assert first.callers == frozenset(("default", "team"))


def test_what_is_for_gateways_is_left_out() -> None:
    http = [
        {
            "match": [{"gateways": ["egress"], "port": 80}],
            "route": [{"destination": {"host": API}}],
        },
        {
            "match": [{"gateways": ["mesh"], "port": 80}],
            "timeout": "1s",
            "route": [{"destination": {"host": API}}],
        },
    ]
    first, second, _ = rules(http, gateways=["egress", "mesh"])
    assert first.timeouts.request == 1.0
    assert second.answer == Answer(404)
    assert len(rules(http, gateways=["egress"])) == 1


@pytest.mark.parametrize(
    ("route", "path"),
    [
        (
            {"route": [{"destination": {"host": API, "subset": "v1"}}]},
            "route[0].destination.subset",
        ),
        ({"match": [{"sourceLabels": {"a": "b"}}]}, "match[0].sourceLabels"),
        ({"match": [{"scheme": {"exact": "https"}}]}, "match[0].scheme"),
        ({"match": [{"uri": {"regex": "(?=x)"}}]}, "match[0].uri.regex"),
        ({"fault": {"abort": {"http2Error": "x", "httpStatus": 1}}}, "fault.abort.httpStatus"),
        ({"retries": {"attempts": 1, "retryOn": "5xxx"}}, "retries.retryOn"),
        (
            {"headers": {"request": {"set": {"x-outgate-namespace": "a"}}}},
            "headers.request.set.x-outgate-namespace",
        ),
        ({"delegate": {"name": "other"}}, "delegate"),
        (
            {"rewrite": {"uriRegexRewrite": {"match": "/(a)", "rewrite": "\\2"}}},
            "rewrite.uriRegexRewrite.rewrite",
        ),
        ({"rewrite": {"uri": "no/path"}}, "rewrite.uri"),
        (
            {"directResponse": {"status": 200, "body": {"string": "x" * 4097}}},
            "directResponse.body",
        ),
        ({"headers": {"request": {"remove": ["content-length"]}}}, "headers.request.remove[0]"),
        ({"redirect": {"uri": "/"}}, ""),
    ],
)
def test_routes_that_would_do_something_else_are_refused(route: Any, path: str) -> None:
    one = {"route": [{"destination": {"host": API}}], **route}
    found = [each for each, _ in errors(made("VirtualService", {"hosts": [API], "http": [one]}))]
    assert f"spec.http[0].{path}".rstrip(".") in found


def test_a_route_to_what_nothing_declares_is_told_until_something_does() -> None:
    http = [{"route": [{"destination": {"host": "b.example.com"}}]}]
    service = made("VirtualService", {"hosts": [API], "http": http})
    assembly = assembled(made("ServiceEntry", ENTRY), service)
    message = "leads to b.example.com, which nothing declares for callers of this namespace"
    assert told(assembly, "VirtualService") == [("spec.hosts[0]", message)]
    entry = parsed(made("ServiceEntry", {**ENTRY, "hosts": ["b.example.com"]}, "b"))
    assembly.update([(source_of(each), declare(each)) for each in entry.every()])
    assert told(assembly, "VirtualService") == []
    assembly.update([(source_of(each), None) for each in entry.every()])
    assert told(assembly, "VirtualService") == [("spec.hosts[0]", message)]


@pytest.mark.parametrize(
    ("kind", "match", "to"),
    [
        ("tls", {"port": 443, "sniHosts": [API]}, {"host": "b.example.com"}),
        ("tls", {"sniHosts": ["*.example.com"]}, {"host": API, "port": {"number": 443}}),
        ("tcp", {"port": 80}, {"host": "b.example.com"}),
    ],
)
def test_connections_that_would_be_led_elsewhere_are_refused(
    kind: str, match: Any, to: Any
) -> None:
    route = [{"match": [match], "route": [{"destination": to}]}]
    service = made("VirtualService", {"hosts": [API], kind: route})
    assert [path for path, _ in errors(service)] == [f"spec.{kind}[0].route"]


def test_a_route_of_connections_to_its_own_host_changes_nothing() -> None:
    home = {"match": [{"port": 443, "sniHosts": [API]}]}
    home["route"] = [{"destination": {"host": API, "port": {"number": 443}}, "weight": 100}]
    service = made("VirtualService", {"hosts": [API], "tls": [home]})
    entry = made("ServiceEntry", ENTRY)
    assert found(assembled(entry, service)).rules == found(assembled(entry)).rules
