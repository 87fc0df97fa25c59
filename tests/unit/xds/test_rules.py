"""What rules become as routes: their order, whom they are for, and that nothing falls through to the wrong place."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from outgate.model.destinations import External, Peer, Port
from outgate.model.names import Name
from outgate.settings import Settings
from outgate.traffic.references import Protocol, Target
from outgate.traffic.routing import (
    Answer,
    Backend,
    Comparison,
    Edits,
    Match,
    Mirror,
    Redirect,
    Retries,
    Rewrite,
    Rule,
    Text,
    Timeouts,
)
from outgate.xds import routes
from outgate.xds.rendering import decode

HOST = "api.example.com"
NAMESPACES = ("a", "b", "c", "d")
PORTS = (80, 8080)


def made(*declared: External) -> list[dict[str, Any]]:
    found = routes.scope(routes.scope_key(declared[0].name), declared, Settings())
    assert found is not None
    (host,) = decode(found)["route_configuration"]["virtual_hosts"]
    return list(host["routes"])


def external(
    *rules: Rule, namespace: str = "a", peers: tuple[Peer, ...] = (), **more: Any
) -> External:
    ports = tuple(Port(each, Protocol.HTTP) for each in PORTS)
    name = Name(namespace, HOST)
    return External(name, HOST, ports, rules=rules, peers=peers, source="kind/name", **more)


def only(rule: Rule, **more: Any) -> dict[str, Any]:
    return made(external(rule, **more))[0]


def holds(header: dict[str, Any], value: str) -> bool:
    wanted = header["string_match"]
    if "exact" in wanted:
        found = value == wanted["exact"]
    else:
        found = re.fullmatch(wanted["safe_regex"]["regex"], value) is not None
    return found is not bool(header.get("invert_match"))


def route_of(found: list[dict[str, Any]], namespace: str, port: int) -> dict[str, Any] | None:
    """The first route for a caller's request, as Envoy finds it; of the path nothing is asked."""
    values = {"x-outgate-namespace": namespace, "x-outgate-port": str(port)}
    return next(
        (
            each
            for each in found
            if all(holds(one, values[one["name"]]) for one in each["match"]["headers"])
        ),
        None,
    )


RULES = some.lists(
    some.builds(
        Rule,
        ports=some.sets(some.sampled_from(PORTS)).map(lambda each: tuple(sorted(each))),
        callers=some.none() | some.frozensets(some.sampled_from(NAMESPACES), min_size=1),
    ),
    max_size=5,
)


@given(RULES)
def test_the_first_rule_that_is_for_a_caller_and_a_port_counts(rules: list[Rule]) -> None:
    numbered = [
        Rule(ports=each.ports, callers=each.callers, answer=Answer(200, str(number)))
        for number, each in enumerate(rules)
    ]
    found = made(external(*numbered))
    for namespace in NAMESPACES:
        for port in PORTS:
            route = route_of(found, namespace, port)
            assert route is not None
            for_it = [
                each
                for each in numbered
                if (not each.ports or port in each.ports)
                and (each.callers is None or namespace in each.callers)
            ]
            if for_it:
                assert for_it[0].answer is not None
                assert route["direct_response"]["body"]["inline_string"] == for_it[0].answer.body
            else:
                assert route["route"]["cluster"] == f"http|{HOST}.a|{port}"


@given(RULES)
def test_a_request_that_no_match_fits_goes_nowhere(rules: list[Rule]) -> None:
    never = (Match(path=Text(Comparison.EXACT, "/never")),)
    found = made(
        external(*(Rule(matches=never, ports=each.ports, callers=each.callers) for each in rules))
    )
    others = [each for each in found if each["match"].get("path") != "/never"]
    for namespace in NAMESPACES:
        for port in PORTS:
            route = route_of(others, namespace, port)
            assert route is not None
            ruled = any(
                (not each.ports or port in each.ports)
                and (each.callers is None or namespace in each.callers)
                for each in rules
            )
            assert ("direct_response" in route) == ruled
            if ruled:
                assert route["direct_response"]["status"] == 404


@given(
    some.dictionaries(
        some.sampled_from(NAMESPACES),
        some.none() | some.frozensets(some.sampled_from(NAMESPACES)),
        min_size=1,
    ),
    some.lists(some.sampled_from("123"), min_size=4, max_size=4),
)
def test_own_declarations_come_first_and_then_the_oldest_that_is_visible(
    visible: dict[str, frozenset[str] | None], ages: list[str]
) -> None:
    created = dict(zip(NAMESPACES, ages, strict=True))
    found = made(
        *(
            external(namespace=each, visible=seen, created=created[each])
            for each, seen in visible.items()
        )
    )
    for caller in (*NAMESPACES, "elsewhere"):
        may = [each for each in visible if visible[each] is None or caller in (visible[each] or ())]
        expected = min(may, key=lambda each: (created[each], each), default=None)
        if caller in visible:
            expected = caller
        route = route_of(found, caller, 80)
        cluster = route["route"]["cluster"] if route else None
        assert cluster == (f"http|{HOST}.{expected}|80" if expected else None)


def test_what_is_the_same_for_everybody_does_not_ask_who_calls() -> None:
    for each in made(external(Rule())):
        assert [one["name"] for one in each["match"]["headers"]] == ["x-outgate-port"]


def test_without_rules_a_port_is_one_route() -> None:
    assert len(made(external())) == len(PORTS)


def test_two_of_the_same_first_labels_are_hosts_of_one_scope() -> None:
    name = Name("a", "api.example.org")
    other = External(name, name.name, (Port(80, Protocol.HTTP),))
    service = External(Name("example", "api"), "outside.test", (Port(80, Protocol.HTTP),))
    keys = {routes.scope_key(each.name) for each in (external(), other, service)}
    assert keys == {("api", "example")}
    members = (other, service, external())
    found = routes.scope(("api", "example"), members, Settings())
    assert found is not None
    hosts = decode(found)["route_configuration"]["virtual_hosts"]
    assert [each["domains"][0] for each in hosts] == ["api", HOST, "api.example.org"]
    assert found == routes.scope(("api", "example"), members[::-1], Settings())


def test_a_host_that_is_also_a_services_form_does_not_have_the_whole_scope_refused() -> None:
    # Envoy takes no configuration with a domain twice.
    service = External(Name("example", "api"), "outside.test", (Port(80, Protocol.HTTP),))
    host = External(Name("a", "api.example"), "api.example", (Port(80, Protocol.HTTP),))
    found = routes.scope(("api", "example"), (host, service), Settings())
    assert found is not None
    (virtual,) = decode(found)["route_configuration"]["virtual_hosts"]
    assert virtual["name"] == "api.example"
    assert virtual["routes"][0]["route"]["cluster"] == "http|api.example|80"


def test_users_write_text_and_no_format() -> None:
    rule = Rule(request=Edits(put=(("x-a", "%FILTER_STATE(outgate.identity)% 5%"),)))
    (added,) = only(rule)["request_headers_to_add"]
    assert added["header"]["value"] == "%%FILTER_STATE(outgate.identity)%% 5%%"


@pytest.mark.parametrize("name", ["host", "Host", ":authority", ":path"])
def test_what_says_where_a_request_goes_is_no_header_to_edit(name: str) -> None:
    # Envoy refuses such a route, and with it the whole scope.
    edits = Edits(((name, "h.test"),), ((name, "h.test"),), (name,))
    route = only(Rule(request=edits, response=edits))
    assert not [key for key in route if "headers_to" in key]
    assert route["route"]["host_rewrite_literal"] == (HOST if name == ":path" else "h.test")


@pytest.mark.parametrize(
    ("retries", "expected"),
    [
        (None, ("connect-failure,refused-stream,reset-before-request", 2)),
        (Retries(3, ("5xx",)), ("5xx", 3)),
        (
            Retries(1, statuses=(429,)),
            ("connect-failure,refused-stream,reset-before-request,retriable-status-codes", 1),
        ),
    ],
)
def test_retries(retries: Retries | None, expected: tuple[str, int]) -> None:
    policy = only(Rule(retries=retries))["route"]["retry_policy"]
    assert (policy["retry_on"], policy["num_retries"]) == expected


def test_no_retries_are_none() -> None:
    assert "retry_policy" not in only(Rule(retries=Retries(0)))["route"]


def test_the_longest_back_off_is_never_shorter_than_the_first() -> None:
    # Else Envoy refuses the route.
    policy = only(Rule(retries=Retries(1, backoff=1.0, backoff_max=0.1)))["route"]["retry_policy"]
    assert policy["retry_back_off"] == {"base_interval": "1s", "max_interval": "1s"}


def test_times() -> None:
    action = only(Rule(timeouts=Timeouts(1.5, 0)))["route"]
    assert (action["timeout"], action["idle_timeout"]) == ("1.500s", "0s")
    action = only(Rule())["route"]
    assert action["timeout"] == "0s"
    assert "idle_timeout" not in action


@pytest.mark.parametrize(
    ("redirect", "port"),
    [
        (Redirect(path="/x"), 8080),
        (Redirect(host="h.test"), 8080),
        (Redirect(scheme="https"), None),
        (Redirect(scheme="https", port=8443), 8443),
        (Redirect(scheme="http", port=80), None),
        (Redirect(port=80), None),
    ],
)
def test_a_redirect_leads_to_the_port_that_was_called(redirect: Redirect, port: int | None) -> None:
    found = next(each for each in made(external(Rule(redirect=redirect))) if _is_on(each, 8080))
    assert found["redirect"].get("port_redirect") == port


def _is_on(route: dict[str, Any], port: int) -> bool:
    return bool(route["match"]["headers"][0]["string_match"]["exact"] == str(port))


@pytest.mark.parametrize(
    ("match", "new", "expected"),
    [
        ("/foo", "/bar", {"prefix_rewrite": "/bar"}),
        ("/foo/", "/bar/", {"prefix_rewrite": "/bar"}),
        ("/f.o", "/", {"regex": r"^/f\.o/*", "substitution": "/"}),
        ("/", "/bar", {"regex": "^/*", "substitution": "/bar/"}),
    ],
)
def test_a_prefix_is_replaced_up_to_a_slash(match: str, new: str, expected: Any) -> None:
    rule = Rule(
        matches=(Match(path=Text(Comparison.PATH_PREFIX, match)),), rewrite=Rewrite(path=new)
    )
    action = only(rule)["route"]
    found = action.get("regex_rewrite")
    if found:
        assert found["pattern"]["regex"] == expected["regex"]
        assert found["substitution"] == expected["substitution"]
    else:
        assert action["prefix_rewrite"] == expected["prefix_rewrite"]


class TestPeers:
    TARGET = Target("b", "other.test")

    def peer(self, port: Port, host: str = "other.test") -> Peer:
        return Peer(self.TARGET, Name("b", host), host, port)

    def test_the_host_is_theirs_with_a_port_that_is_not_the_schemes_own(self) -> None:
        rule = Rule(backends=(Backend(self.TARGET),))
        action = only(rule, peers=(self.peer(Port(80, Protocol.HTTPS, target=8443)),))["route"]
        assert action["cluster"] == "http|other.test.b|80"
        assert action["host_rewrite_literal"] == "other.test:8443"

    @pytest.mark.parametrize(
        "peer",
        [
            Peer(TARGET, Name("b", "other.test"), "other.test", Port(80, Protocol.TCP)),
            Peer(TARGET, Name("b", "*.test"), "*.test", Port(80, Protocol.HTTP)),
            Peer(TARGET, Name("b", "other.test"), "other.test", Port(81, Protocol.HTTP)),
        ],
    )
    def test_what_cannot_be_called_so_is_as_what_is_not_there(self, peer: Peer) -> None:
        route = only(Rule(backends=(Backend(self.TARGET),)), peers=(peer,))
        assert route["direct_response"]["status"] == 500

    def test_a_mirror_that_is_not_there_is_none(self) -> None:
        action = only(Rule(mirrors=(Mirror(self.TARGET),)))["route"]
        assert "request_mirror_policies" not in action

    def test_a_backend_without_weight_gets_nothing(self) -> None:
        gone = Target("b", "gone.test")
        rule = Rule(backends=(Backend(self.TARGET), Backend(gone, 0)))
        action = only(rule, peers=(self.peer(Port(80, Protocol.HTTP)),))["route"]
        assert action["cluster"] == "http|other.test.b|80"
