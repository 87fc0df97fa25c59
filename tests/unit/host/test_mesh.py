"""Incremental change equals starting anew, whatever the changes were."""

import ipaddress
import json
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.host.mesh import Mesh
from outgate.model.names import Name
from outgate.model.workloads import Workload
from outgate.resources.manifests import Manifests, read
from outgate.settings import Settings
from outgate.xds.clusters import Upstream
from outgate.xds.consistency import dangling, unreachable
from outgate.xds.egress import Delta, Site
from outgate.xds.snapshot import Snapshot

SITE = Site("/log", "/tunnel", 1, 2, ("192.0.2.53",))
FAST = settings(max_examples=30, deadline=None, database=None, derandomize=True)


def mesh(eager: int = 100) -> Mesh:
    return Mesh(SITE, Upstream(Settings(eager_services=eager), "/ca", ("192.0.2.53",)))


def service(name: str, namespace: str = "default", **spec: Any) -> dict[str, Any]:
    spec = spec or {
        "type": "ExternalName",
        "externalName": f"{name}.example.com",
        "ports": [{"port": 80, "name": "http"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def manifest(file: str, *documents: dict[str, Any]) -> Manifests:
    return read("\n---\n".join(json.dumps(each) for each in documents), file)


def workload(name: str, namespace: str = "default", **labels: str) -> Workload:
    return Workload(Name(namespace, name), f"/run/netns/{name}", labels=MappingProxyType(labels))


def after(snapshot: Snapshot, *deltas: Delta) -> Snapshot:
    for delta in deltas:
        snapshot = snapshot.replace(delta.changed, delta.removed)
    return snapshot


def names(delta: Delta) -> set[str]:
    return {each.name for each in delta.changed}


PORTS = st.lists(
    st.sampled_from(
        [
            {"port": 80, "name": "http"},
            {"port": 443, "name": "https"},
            {"port": 5432, "name": "tcp"},
            {"port": 8080, "name": "grpc"},
            {"port": 53, "name": "dns", "protocol": "UDP"},
            {"port": 99999, "name": "bad"},
        ]
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda port: port["name"],
)
SPECS = st.one_of(
    PORTS.map(
        lambda ports: {"type": "ExternalName", "externalName": "a.example.com", "ports": ports}
    ),
    st.tuples(PORTS, st.sampled_from(["x", "y"])).map(
        lambda both: {"selector": {"app": both[1]}, "ports": both[0]}
    ),
    PORTS.map(lambda ports: {"ports": ports}),
)
SERVICES = st.builds(
    lambda name, namespace, spec: service(name, namespace, **spec),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["one", "two"]),
    SPECS,
)
FILES = st.sampled_from(["1.json", "2.json", "3.json"])
STEPS = st.one_of(
    st.tuples(st.just("write"), FILES, st.lists(SERVICES, max_size=3)),
    st.tuples(st.just("remove"), FILES, st.none()),
    st.tuples(st.just("run"), st.sampled_from(["p", "q"]), st.sampled_from(["x", "y"])),
    st.tuples(st.just("stop"), st.sampled_from(["p", "q"]), st.none()),
)


@FAST
@given(st.lists(STEPS, max_size=12))
def test_changes_one_by_one_equal_all_at_once(steps: list[tuple[str, str, Any]]) -> None:
    changing = mesh()
    snapshot = after(Snapshot(), changing.start())
    files: dict[str, Manifests] = {}
    pods: dict[str, Workload] = {}
    for kind, name, value in steps:
        if kind == "write":
            files[name] = manifest(name, *value)
            delta = changing.update_files([(name, files[name])])
        elif kind == "remove":
            files.pop(name, None)
            delta = changing.update_files([(name, None)])
        elif kind == "run":
            delta = changing.remove_workload(Name("one", name))
            snapshot = after(snapshot, delta)
            pods[name] = workload(name, "one", app=value)
            delta = changing.add_workload(pods[name])
        else:
            pods.pop(name, None)
            delta = changing.remove_workload(Name("one", name))
        snapshot = after(snapshot, delta)
        programmed = changing.programmed
        assert dangling(snapshot) == []
        assert unreachable(snapshot, programmed) == []
    fresh = mesh()
    expected = after(
        Snapshot(),
        fresh.start(),
        fresh.update_files(files.items()),
        *(fresh.add_workload(each) for each in pods.values()),
    )
    assert {kind: dict(found) for kind, found in snapshot.types.items() if found} == expected.types
    assert changing.problems() == fresh.problems()
    assert changing.programmed.ports == fresh.programmed.ports


@FAST
@given(st.dictionaries(FILES, st.lists(SERVICES, max_size=3)), st.randoms(use_true_random=False))
def test_the_order_of_files_does_not_matter(
    contents: dict[str, list[dict[str, Any]]], order: Any
) -> None:
    files = [(name, manifest(name, *several)) for name, several in contents.items()]
    one, other = mesh(), mesh()
    first = after(Snapshot(), one.update_files(files))
    order.shuffle(files)
    second = after(Snapshot(), *(other.update_files([each]) for each in files))
    assert {kind: dict(found) for kind, found in second.types.items() if found} == first.types
    assert one.problems() == other.problems()


class TestFiles:
    def test_a_change_touches_its_own_resources_and_the_dns_table(self) -> None:
        changing = mesh()
        changing.update_files([("f", manifest("f", service("a"), service("b")))])
        changed = service("b") | {
            "spec": {**service("b")["spec"], "externalName": "new.example.com"}
        }
        delta = changing.update_files([("f", manifest("f", service("a"), changed))])
        assert names(delta) == {"http|b.default|80", "b.default"}
        assert delta.removed == ()

    def test_a_new_service_adds_its_own_resources_and_a_dns_record(self) -> None:
        changing = mesh()
        changing.update_files([("f", manifest("f", service("a")))])
        delta = changing.update_files([("g", manifest("g", service("b")))])
        assert names(delta) == {"http|b.default|80", "b.default", "dns"}

    def test_the_same_again_changes_nothing(self) -> None:
        changing = mesh()
        changing.update_files([("f", manifest("f", service("a")))])
        assert changing.update_files([("f", manifest("f", service("a")))]) == Delta()

    def test_of_two_files_with_one_service_the_first_counts_and_the_other_is_told(self) -> None:
        changing = mesh()
        one, two = service("a"), service("a") | {"spec": service("z")["spec"]}
        changing.update_files([("2", manifest("2", two))])
        changing.update_files([("1", manifest("1", one))])
        assert changing.programmed.destinations[Name("default", "a")].host == "a.example.com"  # type: ignore[union-attr]
        (problem,) = changing.problems()
        assert str(problem.location) == "2:1"
        assert "already in 1" in problem.message
        changing.update_files([("1", None)])
        assert changing.programmed.destinations[Name("default", "a")].host == "z.example.com"  # type: ignore[union-attr]
        assert changing.problems() == ()

    def test_a_broken_file_keeps_what_others_say(self) -> None:
        changing = mesh()
        changing.update_files([("f", manifest("f", service("a"))), ("g", read("{", "g"))])
        assert set(changing.programmed.destinations) == {Name("default", "a")}
        assert [each.location.file for each in changing.problems()] == ["g"]


POLICY = {"apiVersion": "outgate.dev/v1alpha1", "kind": "EgressPolicy", "spec": {"rules": []}}
OF_DEFAULT = {
    f"policy-{each}|default"
    for each in ("caller", "http", "limits", "global", "credentials", "tcp", "tls", "address")
}
"""Filters that the listeners of pods in a namespace ask for."""


class TestWorkloads:
    def selecting(self) -> Mesh:
        changing = mesh()
        spec: dict[str, Any] = {
            "selector": {"app": "web"},
            "ports": [{"port": 80, "name": "http", "targetPort": 8000}],
        }
        changing.update_files([("f", manifest("f", service("web", **spec), service("a")))])
        return changing

    def test_a_pod_that_is_selected_becomes_an_endpoint(self) -> None:
        changing = self.selecting()
        delta = changing.add_workload(workload("w", app="web"))
        assert {"http|web.default|80", "inbound|w.default|8000"} <= names(delta)
        assert "http|a.default|80" not in names(delta)

    def test_when_it_goes_nothing_of_it_is_left(self) -> None:
        changing = self.selecting()
        changing.add_workload(workload("w", app="web"))
        delta = changing.remove_workload(Name("default", "w"))
        assert names(delta) == {"http|web.default|80"}
        removed = {name for _, name in delta.removed}
        assert {name for name in removed if name.startswith("policy-")} == OF_DEFAULT
        assert removed - OF_DEFAULT == {
            "inbound|w.default|8000",
            "pod|w.default|capture",
            "pod|w.default|raw",
            "pod|w.default|dns",
        }

    def test_one_that_nothing_selects_gets_listeners_alone(self) -> None:
        changing = self.selecting()
        changing.start()
        delta = changing.add_workload(workload("w", app="other"))
        assert names(delta) > OF_DEFAULT
        assert all(name.startswith("pod|w.default|") for name in names(delta) - OF_DEFAULT)

    def test_filters_of_its_namespace_are_there_with_it_whether_or_not_there_are_policies(
        self,
    ) -> None:
        changing = self.selecting()
        changing.add_workload(workload("w"))
        assert not OF_DEFAULT & names(changing.add_workload(workload("x")))
        policy = manifest("p", {**POLICY, "metadata": {"name": "p", "namespace": "default"}})
        assert "policy-http|default" in names(changing.update_files([("p", policy)]))
        for gone in (
            changing.update_files([("p", None)]),
            changing.remove_workload(Name("default", "w")),
        ):
            assert not OF_DEFAULT & {name for _, name in gone.removed}
        gone = changing.remove_workload(Name("default", "x"))
        assert {name for _, name in gone.removed} >= OF_DEFAULT

    def test_other_names_are_forwarded_only_while_a_pod_may_ask_for_them(self) -> None:
        changing = self.selecting()
        ranges = (ipaddress.ip_network("10.0.0.0/24"),)
        open_pod = replace(workload("o"), include=ranges)
        assert "dns-forward" in names(changing.add_workload(open_pod))
        assert "dns-forward" not in names(
            changing.add_workload(replace(open_pod, name=Name("default", "p")))
        )
        delta = changing.update_files([("g", manifest("g", service("b")))])
        assert {"dns", "dns-forward"} <= names(delta)
        assert "dns-forward" not in {
            name for _, name in changing.remove_workload(Name("default", "o")).removed
        }
        last = changing.remove_workload(Name("default", "p"))
        assert "dns-forward" in {name for _, name in last.removed}
        assert "dns-forward" not in names(changing.update_files([("g", None)]))

    def test_one_that_is_not_there_is_passed_over(self) -> None:
        assert mesh().remove_workload(Name("default", "none")) == Delta()
