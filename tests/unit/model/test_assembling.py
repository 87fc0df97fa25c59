"""Resources together: attachments, conflicts, visibility; and that history leaves no trace."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.model.assembling import Assembly, Change
from outgate.model.declarations import Declarations, Routing, Source, Tuning
from outgate.model.destinations import Destination, External, Peer, Port
from outgate.model.names import Name
from outgate.resources.problems import Location
from outgate.traffic.permitting import Policy, Subject
from outgate.traffic.references import Protocol, Target
from outgate.traffic.routing import Backend, Mirror, Rule
from outgate.traffic.upstream import Outlier, Pool, Upstream

HTTP = Port(80, Protocol.HTTP)
API = "api.example.com"


def host(namespace: str, name: str = API, **fields: Any) -> External:
    visible = fields.pop("visible", frozenset[str]())
    return External(Name(namespace, name), name, (HTTP,), visible=visible, **fields)


def declared(source: Source, *destinations: Destination, **fields: Any) -> Declarations:
    return Declarations(source, Location(), destinations=destinations, **fields)


def external(namespace: str, name: str = "e") -> Source:
    return Source("ExternalService", namespace, name)


def route(
    namespace: str, target: Name, *rules: Rule, name: str = "r", created: str = ""
) -> Declarations:
    source = Source("HTTPRoute", namespace, name)
    return declared(
        source, created=created, routings=(Routing(target, rules, "spec.parentRefs[0]"),)
    )


def tuning(
    namespace: str, target: Name, name: str = "t", created: str = "", **upstream: Any
) -> Declarations:
    source = Source("DestinationRule", namespace, name)
    return declared(source, created=created, tunings=(Tuning(target, Upstream(**upstream)),))


def assembled(*every: Declarations) -> Assembly:
    made = Assembly()
    made.update((each.source, each) for each in every)
    return made


def external_at(assembly: Assembly, namespace: str, name: str = API) -> External:
    found = assembly.effective[Name(namespace, name)]
    assert isinstance(found, External)
    return found


def messages(assembly: Assembly, source: Source) -> list[str]:
    return [each.message for each in assembly.found.get(source, ())]


def test_of_two_that_declare_a_host_the_older_counts_and_the_other_is_told() -> None:
    young, old = external("a", "b-first-by-name"), external("a", "z")
    made = assembled(
        declared(young, host("a", source="young"), created="2026-02-01T00:00:00Z"),
        declared(old, host("a", source="old"), created="2026-01-01T00:00:00Z"),
    )
    assert external_at(made, "a").source == "old"
    assert messages(made, young) == [
        "api.example.com is already declared by externalservice/z in this namespace, which counts"
    ]
    assert not messages(made, old)
    change = made.update([(old, None)])
    assert [each.source for each in change.changed if isinstance(each, External)] == ["young"]
    assert made.found == {}


@pytest.mark.parametrize(
    "name",
    [
        "kubernetes.default.svc.cluster.local",
        "a.default.svc",
        "a.default.svc.cluster",
        "a.localhost",
        "*.cluster.local",
        "*.svc.cluster.local",
        "*.local",
        "*.default.svc",
    ],
)
def test_nobody_declares_what_is_inside(name: str) -> None:
    made = assembled(declared(external("a"), host("a", name, visible=None)))
    assert made.effective == {}
    assert messages(made, external("a")) == [
        f"{name} is a name inside the cluster, or has such below it"
    ]


@pytest.mark.parametrize("name", ["svc.example.com", "local.example.com", "*.mylocal", "xsvc.y"])
def test_what_only_looks_like_a_name_inside_may_be_declared(name: str) -> None:
    assert len(assembled(declared(external("a"), host("a", name))).effective) == 1


def test_two_namespaces_may_have_one_host_each_its_own() -> None:
    made = assembled(declared(external("a"), host("a")), declared(external("b"), host("b")))
    assert made.effective.keys() == {Name("a", API), Name("b", API)}
    assert made.found == {}


def test_what_is_visible_everywhere_is_not_seen_where_there_is_an_own_one_and_says_so() -> None:
    everywhere = declared(external("b"), host("b", visible=None))
    made = assembled(everywhere, declared(external("a"), host("a")))
    for caller, meant in (("a", "a"), ("b", "b"), ("c", "b")):
        found = made.find(Name("", API), caller)
        assert found is not None
        assert found.name.namespace == meant
    assert messages(made, everywhere.source) == [
        "api.example.com is declared in namespace a too, whose callers use that one"
    ]


def test_what_is_not_visible_is_not_found() -> None:
    made = assembled(declared(external("b"), host("b", visible=frozenset({"c"}))))
    assert made.find(Name("", API), "a") is None
    assert made.find(Name("b", API), "a") is None
    assert made.find(Name("", API), "c") is not None


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


def test_policies_are_by_namespace() -> None:
    source = Source("EgressPolicy", "a", "p")
    policy = Policy("a", "p", Subject(), ())
    made = Assembly()
    change = made.update([(source, declared(source, policies=(policy,)))])
    assert change == Change(policies=frozenset({"a"}))
    assert (made.policies("a"), made.policies("b")) == ((policy,), ())
    assert made.update([(source, None)]).policies == {"a"}
    assert made.policies("a") == ()


def test_a_change_costs_what_it_touches() -> None:
    many = [
        declared(external(f"n{each}"), host(f"n{each}", f"h{each}.example.com"))
        for each in range(50)
    ]
    made = assembled(*many)
    again = replace(
        many[7],
        created="2026-01-01T00:00:00Z",
        destinations=(host("n7", "h7.example.com", created="2"),),
    )
    change = made.update([(again.source, again)])
    assert [each.name.namespace for each in change.changed] == ["n7"]
    assert made.update([(again.source, again)]) == Change()


HOSTS = ("api.example.com", "other.example.com", "s")
NAMESPACES = ("a", "b", "c")


@st.composite
def resources(draw: st.DrawFn) -> Declarations:
    namespace = draw(st.sampled_from(NAMESPACES))
    name = draw(st.sampled_from(HOSTS))
    created = draw(st.sampled_from(("", "1", "2")))
    target = Name(draw(st.sampled_from(NAMESPACES)) if "." not in name else "", name)
    kind = draw(st.integers(0, 2))
    if kind == 0:
        visible = draw(st.sampled_from((None, frozenset[str](), frozenset({"b"}))))
        aim = Target(draw(st.sampled_from(("", *NAMESPACES))), draw(st.sampled_from(HOSTS)))
        own = host(
            namespace,
            name,
            visible=visible,
            rules=(Rule(backends=(Backend(aim),)),),
            created=created,
        )
        return declared(
            external(namespace, draw(st.sampled_from(("x", "y")))), own, created=created
        )
    if kind == 1:
        return route(namespace, target, Rule(source=created), created=created)
    return tuning(
        namespace, target, created=created, pool=Pool(connect_timeout=float(len(created)))
    )


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(st.lists(st.tuples(resources(), st.booleans()), max_size=14))
def test_whatever_came_before_the_result_is_that_of_what_is_there(
    steps: list[tuple[Declarations, bool]],
) -> None:
    step_by_step, now = Assembly(), dict[Source, Declarations]()
    seen: dict[Name, Destination] = {}
    for each, gone in steps:
        now.pop(each.source, None)
        if not gone:
            now[each.source] = each
        change = step_by_step.update([(each.source, None if gone else each)])
        seen.update((one.name, one) for one in change.changed)
        for name in change.removed:
            del seen[name]
    at_once = assembled(*now.values())
    assert step_by_step.effective == at_once.effective == seen
    assert step_by_step.found == at_once.found
    assert step_by_step._leading == at_once._leading


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
