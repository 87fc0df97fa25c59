"""Rules and tunings of others: whose destinations they attach to, and what they lead to."""

from dataclasses import replace

from tests.unit.model.declaring import (
    API,
    HTTP,
    assembled,
    declared,
    external,
    external_at,
    host,
    messages,
    route,
    tuning,
)

from outgate.model.assembling import Assembly
from outgate.model.declarations import Source
from outgate.model.destinations import External, Peer, Port
from outgate.model.names import Name
from outgate.traffic.references import Protocol, Target
from outgate.traffic.routing import Backend, Mirror, Rule
from outgate.traffic.upstream import Outlier, Pool, Upstream


def test_rules_are_attached_the_older_first_and_before_the_own_ones() -> None:
    own, old, young = (Rule(source=each) for each in ("own", "old", "young"))
    made = assembled(
        declared(external("a"), host("a", rules=(own,))),
        route("a", Name("", API), young, name="a", created="2026-02-01T00:00:00Z"),
        route("a", Name("", API), old, name="z", created="2026-01-01T00:00:00Z"),
    )
    assert [each.source for each in external_at(made, "a").rules] == ["old", "young", "own"]


def test_rules_of_another_namespace_are_for_its_own_callers_and_come_first() -> None:
    made = assembled(
        declared(external("a"), host("a", visible=None)),
        route("a", Name("", API), Rule(source="producer"), created="2026-01-01T00:00:00Z"),
        route("b", Name("", API), Rule(source="consumer"), created="2026-02-01T00:00:00Z"),
    )
    consumer, producer = external_at(made, "a").rules
    assert (consumer.source, consumer.callers) == ("consumer", frozenset({"b"}))
    assert (producer.source, producer.callers) == ("producer", None)


def test_rules_for_a_host_that_is_not_seen_attach_to_nothing_and_say_so() -> None:
    lost = route("b", Name("", API), Rule())
    made = assembled(declared(external("a"), host("a")), lost)
    assert external_at(made, "a").rules == ()
    (problem,) = made.found[lost.source]
    assert problem.path == "spec.parentRefs[0]"
    assert problem.message == "nothing declares api.example.com for callers of this namespace"
    made.update([(external("b"), declared(external("b"), host("b")))])
    assert made.found == {}
    assert external_at(made, "b").rules == (Rule(),)


def test_the_oldest_tuning_counts_field_by_field_before_what_the_resource_itself_says() -> None:
    own = Upstream(pool=Pool(connect_timeout=9), outlier=Outlier(interval=9))
    port = replace(HTTP, upstream=own)
    made = assembled(
        declared(external("a"), replace(host("a"), ports=(port,))),
        tuning("a", Name("", API), "x", "2026-02-01T00:00:00Z", pool=Pool(connect_timeout=2)),
        tuning("a", Name("", API), "y", "2026-01-01T00:00:00Z", pool=Pool(connect_timeout=1)),
    )
    (found,) = external_at(made, "a").ports
    assert found.upstream == Upstream(pool=Pool(connect_timeout=1), outlier=Outlier(interval=9))


def test_nobody_tunes_another_namespaces_destination() -> None:
    foreign = tuning("b", Name("", API), pool=Pool(connect_timeout=1))
    made = assembled(declared(external("a"), host("a", visible=None)), foreign)
    assert external_at(made, "a").ports == (HTTP,)
    assert messages(made, foreign.source) == [
        "api.example.com is of namespace a: how it is connected to is said there"
    ]


def test_a_rules_targets_are_found_as_they_come_and_lost_as_they_go() -> None:
    target, copy = Target("", "other.example.com", 80), Target("a", "s")
    rule = Rule(backends=(Backend(target),), mirrors=(Mirror(copy),))
    made = assembled(declared(external("a"), host("a", rules=(rule,))))
    assert external_at(made, "a").peers == ()
    service = External(Name("a", "s"), "s.example.com", (HTTP, Port(81, Protocol.HTTP)))
    other = host("b", "other.example.com", visible=None)
    made.update(
        (each.source, each)
        for each in (
            declared(Source("Service", "a", "s"), service),
            declared(external("b"), other),
        )
    )
    assert external_at(made, "a").peers == (
        Peer(replace(target, namespace="b"), other.name, other.host, HTTP),
        Peer(copy, service.name, service.host, HTTP),
    )
    change = made.update([(external("b"), None)])
    assert {each.name for each in change.changed} == {Name("a", API)}
    assert [each.name for each in external_at(made, "a").peers] == [service.name]


def test_a_target_that_may_not_be_seen_is_not_found() -> None:
    rule = Rule(backends=(Backend(Target("b", "other.example.com")),))
    secret = declared(external("b"), host("b", "other.example.com"))
    made = assembled(declared(external("a"), host("a", rules=(rule,))), secret)
    assert external_at(made, "a").peers == ()
    (found,) = external_at(made, "a").rules
    assert found.backends[0].target.namespace == ""


def test_a_target_whose_namespace_has_agreed_need_not_be_visible() -> None:
    target = Target("b", "other.example.com", granted=True)
    rule = Rule(backends=(Backend(target),))
    secret = declared(external("b"), host("b", "other.example.com"))
    made = assembled(declared(external("a"), host("a", rules=(rule,))), secret)
    (peer,) = external_at(made, "a").peers
    assert (peer.target, peer.name) == (target, Name("b", "other.example.com"))


def test_what_a_foreign_rule_leads_to_is_what_its_own_namespace_sees() -> None:
    rule = Rule(backends=(Backend(Target("", "other.example.com")),))
    made = assembled(
        declared(external("a", "api"), host("a", visible=None)),
        declared(external("a", "other"), host("a", "other.example.com")),
        declared(external("b", "other"), host("b", "other.example.com")),
        route("b", Name("", API), rule),
    )
    (peer,) = external_at(made, "a").peers
    assert peer.name == Name("b", "other.example.com")


def test_more_rules_than_one_resource_may_have_are_refused_to_those_whom_they_are_for() -> None:
    assembly, many = Assembly(), tuple(Rule() for _ in range(300))
    ports = tuple(Port(number, Protocol.HTTP) for number in range(1, 65))
    theirs = replace(host("theirs", visible=None), ports=ports)
    routes = route("ours", Name("", API), *many)
    e = external("theirs")
    assembly.update([(e, declared(e, theirs)), (routes.source, routes)])
    (found,) = assembly.effective.values()
    assert isinstance(found, External)
    (rule,) = found.rules
    assert rule.callers == frozenset({"ours"})
    assert rule.answer is not None
    assert rule.answer.status == 500
    (problem,) = assembly.found[routes.source]
    assert "19200 routes" in problem.message
    assert e not in assembly.found
