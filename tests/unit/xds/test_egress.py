from collections.abc import Iterable

import pytest

from outgate.model.destinations import Destination, External, Port
from outgate.model.names import Name
from outgate.settings import Settings
from outgate.traffic.references import Protocol
from outgate.xds import building, egress
from outgate.xds.clusters import Upstream
from outgate.xds.consistency import dangling, unreachable
from outgate.xds.egress import Delta, Programmed, Site
from outgate.xds.snapshot import Snapshot

SITE = Site("/log", "/tunnel", 1, 2, ("192.0.2.53",))
TABLES = {"dns"}


def upstream(eager: int = 100) -> Upstream:
    return Upstream(Settings(eager_services=eager), "/ca", ())


def external(name: str, *ports: Port, host: str = "h.example.com") -> External:
    return External(Name("ns", name), host, ports or (Port(80, Protocol.HTTP),))


def program(
    before: Programmed,
    changed: Iterable[Destination],
    removed: Iterable[Name] = (),
    eager: int = 100,
) -> tuple[Programmed, Delta]:
    return egress.program(before, changed, removed, SITE, upstream(eager))


def names(delta: Delta) -> set[str]:
    return {each.name for each in delta.changed}


def gone(delta: Delta) -> set[str]:
    return {name for _, name in delta.removed}


@pytest.fixture
def three() -> Programmed:
    return program(Programmed(), [external("a"), external("b"), external("c")])[0]


class TestChanges:
    def test_a_new_service_is_its_own_resources_and_the_dns_table(self, three: Programmed) -> None:
        _, delta = program(three, [external("d")])
        assert names(delta) == {"http|d.ns|80", "d.ns"} | TABLES
        assert gone(delta) == set()

    def test_the_first_service_on_a_port_changes_the_listener_at_the_end_of_tunnels(
        self, three: Programmed
    ) -> None:
        after, delta = program(three, [external("d", Port(81, Protocol.HTTP))])
        assert names(delta) == {"http|d.ns|81", "d.ns", "capture"} | TABLES
        assert after.known.ports == (80, 81)
        _, delta = program(after, [], [Name("ns", "d")])
        assert "capture" in names(delta)

    def test_another_host_is_a_cluster_and_a_route(self, three: Programmed) -> None:
        _, delta = program(three, [external("b", host="other.example.com")])
        assert names(delta) == {"http|b.ns|80", "b.ns"}

    def test_the_same_again_is_nothing(self, three: Programmed) -> None:
        after, delta = program(three, [external("b")])
        assert delta == Delta()
        assert after == three

    def test_one_that_goes_takes_all_of_it_away(self, three: Programmed) -> None:
        after, delta = program(three, [], [Name("ns", "b")])
        assert names(delta) == TABLES
        assert gone(delta) == {"http|b.ns|80", "b.ns"}
        assert Name("ns", "b") not in after.destinations

    def test_one_that_was_not_there_cannot_go(self, three: Programmed) -> None:
        assert program(three, [], [Name("ns", "x")])[1] == Delta()

    def test_a_port_that_goes_takes_its_cluster_away(self, three: Programmed) -> None:
        two, _ = program(three, [external("b", Port(80, Protocol.HTTP), Port(81, Protocol.HTTP))])
        _, delta = program(two, [external("b")])
        assert gone(delta) == {"http|b.ns|81"}

    def test_a_plain_tcp_port_moves_the_address_and_leaves_nothing_at_the_old_one(
        self, three: Programmed
    ) -> None:
        raw, delta = program(three, [external("b", Port(22, Protocol.TCP))])
        assert {"http|b.ns|80", "b.ns"} == gone(delta)
        assert names(delta) >= TABLES
        _, delta = program(raw, [external("b")])
        assert {name.partition("|")[0] for name in gone(delta)} == {"tcp"}

    def test_what_was_programmed_before_is_not_touched(self, three: Programmed) -> None:
        before = dict(three.resources)
        program(three, [external("b", host="x.example.com")], [Name("ns", "a")])
        assert dict(three.resources) == before

    def test_what_others_have_is_shared(self, three: Programmed) -> None:
        after, _ = program(three, [external("d")])
        assert after.resources[Name("ns", "a")] is three.resources[Name("ns", "a")]


class TestOnDemand:
    def on_demand(self, programmed: Programmed) -> set[str]:
        found = (each for several in programmed.resources.values() for each in several)
        return {each.name for each in found if each.on_demand}

    def test_services_beyond_the_number_are_given_when_asked_for(self) -> None:
        first, _ = program(Programmed(), [external("a"), external("b")], eager=2)
        assert self.on_demand(first) == set()
        second, _ = program(first, [external("c")], eager=2)
        assert self.on_demand(second) == {"http|c.ns|80"}

    def test_none_changes_over_while_it_is_there(self) -> None:
        full, _ = program(Programmed(), [external(each) for each in "abc"], eager=2)
        fewer, _ = program(full, [external("c", host="x.example.com")], [Name("ns", "a")], eager=2)
        assert self.on_demand(fewer) == {"http|c.ns|80"}
        more, _ = program(fewer, [external("b", host="y.example.com")], eager=0)
        assert self.on_demand(more) == {"http|c.ns|80"}

    def test_routes_and_plain_tcp_are_always_given(self) -> None:
        found, _ = program(
            Programmed(), [external("a", Port(80, Protocol.HTTP), Port(22, Protocol.TCP))], eager=0
        )
        assert self.on_demand(found) == {"http|a.ns|80"}


def test_a_snapshot_that_lacks_something_is_noticed(three: Programmed) -> None:
    snapshot = Snapshot().replace(egress.shared(SITE, upstream()))
    snapshot = snapshot.replace(each for several in three.resources.values() for each in several)
    snapshot = snapshot.replace(three.scopes.made.values())
    assert dangling(snapshot) == []
    assert unreachable(snapshot, three) == []
    without = snapshot.replace(removed=[(building.CLUSTER, "http|a.ns|80")])
    assert dangling(without) == ["ScopedRouteConfiguration/a.ns: cluster: http|a.ns|80"]
    assert unreachable(without, three) == ["http|a.ns|80"]
    without = snapshot.replace(removed=[(building.LISTENER, "raw")])
    assert dangling(without) == ["Cluster/internal|raw: listener: raw"]
    without = snapshot.replace(removed=[(building.CLUSTER, "deny")])
    assert "Listener/capture: cluster: deny" in dangling(without)
