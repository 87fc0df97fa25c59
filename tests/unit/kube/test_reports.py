from typing import Any

from tests.unit.kube.meshes import source, update

from outgate.kube.controller import SITE
from outgate.kube.events import event, said
from outgate.kube.mesh import Mesh
from outgate.kube.reports import NOTE_BYTES, Due, Judged, Message, Reports, judge, note
from outgate.model.destinations import External
from outgate.model.names import Name
from outgate.resources.problems import Location, Problem
from outgate.settings import Settings
from outgate.xds.clusters import Upstream

BIN = Name("default", "bin")


def service(host: str = "httpbin.org", version: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "bin",
            "namespace": "default",
            "uid": "u1",
            "resourceVersion": str(version),
            **more,
        },
        "spec": {"type": "ExternalName", "externalName": host, "ports": [{"port": 80}]},
    }


class World:
    """What there is, and what was said about it: as the recorder says it, without an API server."""

    def __init__(self) -> None:
        self.mesh = Mesh(SITE, Upstream(Settings(), "/ca.pem", marked=False))
        self.reports = Reports()
        self.events: list[dict[str, Any]] = []

    def judged(self, name: Name, item: dict[str, Any]) -> Judged | None:
        destination = self.mesh.programmed.destinations.get(name)
        return judge(item["metadata"], destination, self.mesh.problems(source(name)))

    def change(self, item: dict[str, Any] | None, name: Name = BIN) -> list[str]:
        update(self.mesh, [(name, item)])
        self.reports.change(source(name), self.judged(name, item) if item else None)
        return self.say()

    def reached(self, version: int | None, words: str = "") -> list[str]:
        versions = None if version is None else {"Service": version}
        self.reports.reached(versions, {source(BIN): words} if words else {})
        return self.say()

    def say(self) -> list[str]:
        found: list[str] = []
        while (due := self.reports.next()) is not None:
            for message in due.messages:
                self.write(due, message)
                self.reports.done(due, message)
                found.append(message.reason)
        return found

    def write(self, due: Due, message: Message) -> None:
        from datetime import UTC, datetime

        made = event(due, message, "pod", datetime.now(UTC))
        made["metadata"]["resourceVersion"] = str(len(self.events) + 1)
        self.events.append(made)

    def restarted(self) -> "World":
        """Return another replica that begins to lead, with the same Services and Events."""
        other = World()
        other.events = list(self.events)
        return other


def test_accepted_then_programmed_and_nothing_twice() -> None:
    world = World()
    assert world.change(service(version=5)) == ["Accepted"]
    assert world.reached(4) == []
    assert world.reached(None) == []
    assert world.reached(5) == ["Programmed"]
    assert world.reached(9) == []
    assert world.change(service(version=10, labels={"a": "b"})) == []
    assert world.reached(10) == []
    # Another egress connects, and has nothing yet.
    assert world.reached(0) == []


def test_a_change_is_told_again() -> None:
    world = World()
    world.change(service(version=5))
    world.reached(5)
    assert world.change(service("www.google.com", version=6)) == ["Accepted"]
    assert world.reached(6) == ["Programmed"]
    # Back to what it was is a change as well.
    assert world.change(service(version=7)) == ["Accepted"]
    assert world.reached(7) == ["Programmed"]


def test_one_that_envoy_has_when_it_is_first_looked_at_says_both() -> None:
    world = World()
    world.reached(9)
    assert world.change(service(version=5)) == ["Accepted"]
    assert world.reached(9) == ["Programmed"]


def test_one_that_is_wrong_says_field_message_and_hint() -> None:
    world = World()
    assert world.change(service("192.0.2.1")) == ["Rejected"]
    assert world.events[0]["note"].startswith("spec.externalName: ")
    assert "(" in world.events[0]["note"]
    assert world.events[0]["type"] == "Warning"
    assert world.change(service("192.0.2.1", version=2, labels={})) == []
    assert world.change(service("192.0.2.2", version=3)) == ["Rejected"]
    assert world.change(service(version=4)) == ["Accepted"]


def test_what_is_refused_by_envoy_is_told_until_it_is_not() -> None:
    world = World()
    world.change(service(version=5))
    assert world.reached(5, "no such file") == ["Rejected"]
    assert world.events[-1]["note"] == "Envoy refused it: no such file"
    assert world.reached(6, "no such file") == []
    assert world.reached(7) == ["Programmed"]
    # Wrong by itself after that: one message, not one for each look.
    assert world.change(service("192.0.2.1", version=8)) == ["Rejected"]
    assert world.reached(8) == []


def test_who_leads_next_repeats_nothing() -> None:
    world = World()
    world.change(service(version=5))
    world.reached(5)
    other = world.restarted()
    item = service(version=8, annotations={"irrelevant": "change"})
    update(other.mesh, [(BIN, item)])
    other.reports.change(source(BIN), other.judged(BIN, item))
    other.reports.restore(said(other.events))
    assert other.say() == []
    assert other.reached(8) == []
    # But what the former one did not come to say is said.
    late = World()
    update(late.mesh, [(BIN, item)])
    late.reports.change(source(BIN), late.judged(BIN, item))
    late.reports.restore(said(world.events[:1]))
    assert late.say() == []
    assert late.reached(8) == ["Programmed"]


def test_a_service_that_is_made_anew_is_another() -> None:
    world = World()
    world.change(service(version=5))
    world.reached(5)
    assert world.change(service(version=6, uid="u2")) == ["Accepted"]
    assert {each["regarding"]["uid"] for each in world.events} == {"u1", "u2"}
    world.change(None)
    assert world.reports.said == {}
    assert world.reports.next() is None


def test_services_inside_are_none_of_our_business() -> None:
    world = World()
    inside = service()
    inside["spec"] = {"type": "ClusterIP", "clusterIP": "10.96.0.7"}
    assert world.change(inside) == []


def test_one_that_cannot_be_told_is_put_behind() -> None:
    world = World()
    for name in ("a", "b"):
        item = service(version=3)
        item["metadata"] |= {"name": name, "uid": name}
        update(world.mesh, [(Name("default", name), item)])
        world.reports.change(
            source(Name("default", name)), world.judged(Name("default", name), item)
        )
    first = world.reports.next()
    assert first is not None
    world.reports.postpone(first.source)
    second = world.reports.next()
    assert second is not None
    assert (first.source.name, second.source.name) == ("a", "b")


def test_a_note_is_no_longer_than_the_api_server_takes() -> None:
    long = note("ä" * 2000)
    assert len(long.encode()) <= NOTE_BYTES
    assert long.endswith("...")
    assert note("one\ntwo") == "one two"


def test_an_error_is_a_rejection_whatever_is_programmed_instead() -> None:
    problem = Problem(Location(), "service/bin", "spec.ports", "no address is left")
    judged = judge(service()["metadata"], External(BIN, "", ()), (problem,))
    assert judged is not None
    assert (judged.verdict.reason, judged.verdict.note) == (
        "Rejected",
        "spec.ports: no address is left",
    )
