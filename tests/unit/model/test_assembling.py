"""Resources together: conflicts, visibility; and that history leaves no trace."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.model.declaring import (
    API,
    assembled,
    declared,
    external,
    external_at,
    host,
    messages,
    route,
    tuning,
)

from outgate.model.assembling import Assembly, Change
from outgate.model.declarations import Declarations, Source
from outgate.model.destinations import Destination, External
from outgate.model.names import Name
from outgate.traffic.permitting import Policy, Subject
from outgate.traffic.references import Target
from outgate.traffic.routing import Backend, Rule
from outgate.traffic.upstream import Pool


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
