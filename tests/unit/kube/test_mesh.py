from typing import Any

import pytest
from tests.unit.kube.meshes import problems, update

from outgate.kube.controller import SITE
from outgate.kube.mesh import Mesh
from outgate.model import addresses
from outgate.model.addresses import FULL, SHARED
from outgate.model.declarations import Source
from outgate.model.names import Name
from outgate.resources.problems import Severity
from outgate.settings import Settings
from outgate.traffic.permitting import Mode
from outgate.xds import holding
from outgate.xds.building import CLUSTER, LISTENER
from outgate.xds.clusters import Upstream

BIN, OTHER = Name("default", "externalbin"), Name("other", "externalbin")


def mesh() -> Mesh:
    return Mesh(SITE, Upstream(Settings(), "/ca.pem", marked=False))


def service(name: Name, host: str = "httpbin.org", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name.name, "namespace": name.namespace, "resourceVersion": "1"},
        "spec": {
            "type": "ExternalName",
            "externalName": host,
            "sessionAffinity": "None",
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}],
            **spec,
        },
        "status": {"loadBalancer": {}},
    }


def names(delta: Any, kind: str) -> list[str]:
    return [each.name for each in delta.changed if each.type_url == kind]


def test_an_external_service_as_the_api_server_has_it_is_programmed() -> None:
    own = mesh()
    delta = update(own, [(BIN, service(BIN)), (OTHER, service(OTHER))])
    assert names(delta, CLUSTER) == ["http|externalbin.default|80", "http|externalbin.other|80"]
    assert problems(own) == {}


def test_what_does_not_change_what_is_declared_changes_nothing() -> None:
    own = mesh()
    update(own, [(BIN, service(BIN))])
    again = service(BIN)
    again["metadata"] |= {"resourceVersion": "2", "annotations": {"a": "b"}}
    delta = update(own, [(BIN, again)])
    assert (delta.changed, delta.removed) == ((), ())


def test_services_of_the_cluster_are_none_of_our_business() -> None:
    own = mesh()
    inside = service(BIN, type="ClusterIP", clusterIP="10.96.0.9", selector={"app": "x"})
    del inside["spec"]["externalName"]
    delta = update(own, [(BIN, inside)])
    assert (delta.changed, delta.removed, problems(own)) == ((), (), {})


def test_one_that_is_wrong_or_stops_being_external_is_taken_away() -> None:
    for after in (service(BIN, "192.0.2.1"), service(BIN, type="ClusterIP"), None):
        own = mesh()
        update(own, [(BIN, service(BIN))])
        delta = update(own, [(BIN, after)])
        assert (CLUSTER, "http|externalbin.default|80") in delta.removed
        wrong = after is not None and after["spec"]["type"] == "ExternalName"
        assert (BIN in problems(own)) == wrong


def test_a_problem_names_the_object_and_goes_when_it_is_mended() -> None:
    own = mesh()
    update(own, [(BIN, service(BIN, "192.0.2.1"))])
    (problem,) = problems(own)[BIN]
    assert str(problem).startswith(
        "services/default/externalbin:1: error: service/externalbin: spec.externalName: "
    )
    update(own, [(BIN, service(BIN))])
    assert problems(own) == {}


def test_the_egress_marks_no_socket_and_has_a_table_of_names() -> None:
    own = mesh()
    start, delta = own.start(), update(own, [(BIN, service(BIN))])
    assert not any(b"socket_options" in each.value for each in delta.changed)
    assert "dns" in names(start, LISTENER)
    (table,) = (each for each in delta.changed if each.name == "dns")
    assert b"externalbin.default.svc.cluster.local" in table.value
    # SO_MARK takes a capability that nobody gets there.
    marked = update(Mesh(SITE, Upstream(Settings(), "/ca.pem")), [(BIN, service(BIN))])
    assert [len(each.value) for each in marked.changed] != [
        len(each.value) for each in delta.changed
    ]


def test_what_stands_for_something_inside_is_left_to_the_clusters_dns() -> None:
    own = mesh()
    for host in ("web.other.svc.cluster.local", "web.other.svc.cluster.local.", "cluster.LOCAL"):
        delta = update(own, [(BIN, service(BIN, host))])
        assert (delta.changed, delta.removed) == ((), ())


def test_one_that_declares_nothing_leads_nowhere_and_takes_no_address() -> None:
    own = mesh()
    for each in (service(BIN, ports=[]), service(BIN, "192.0.2.1")):
        delta = update(own, [(BIN, each)])
        assert names(delta, CLUSTER) == []
        assert own.programmed.allocation.addresses == {}
        # Its name is answered, so that nobody asks outside for what it stands for.
        assert str(SHARED.ipv4).encode() in own.programmed.records[str(BIN)]


class TestWithFewAddresses:
    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(addresses, "_SLOTS", 2)

    def tcp(self, name: str, day: int) -> tuple[Name, dict[str, Any]]:
        made = service(Name("n", name), ports=[{"name": "tcp", "port": 7, "protocol": "TCP"}])
        made["metadata"]["creationTimestamp"] = f"2026-01-0{day}T00:00:00Z"
        return Name("n", name), made

    def test_the_youngest_has_a_problem_until_there_is_room(self) -> None:
        own = mesh()
        old, older, young = self.tcp("a", 2), self.tcp("b", 1), self.tcp("c", 3)
        update(own, [young])
        update(own, [old, older])
        assert [str(each.message) for each in problems(own)[young[0]]] == [FULL]
        assert set(problems(own)) == {young[0]}
        again = young[1] | {"status": {}}
        update(own, [(young[0], again)])
        assert set(problems(own)) == {young[0]}
        delta = update(own, [(old[0], None)])
        assert problems(own) == {}
        assert len([each for each in names(delta, CLUSTER) if each.startswith("tcp|")]) >= 2

    def test_two_controllers_agree_whatever_they_saw_before(self) -> None:
        one, two = mesh(), mesh()
        several = [self.tcp(name, day) for name, day in (("a", 3), ("b", 1), ("c", 2))]
        for each in several:
            update(one, [each])
        update(two, [several[2]])
        update(two, [(several[2][0], None), several[1]])
        update(two, [several[0], several[2]])
        assert one.programmed == two.programmed


def test_a_service_that_cannot_be_read_is_a_problem_of_its_own() -> None:
    own = mesh()
    odd: list[dict[str, Any]] = [
        {"metadata": {"name": "odd"}, "spec": [None]},
        {"metadata": 7, "spec": "x"},
        service(OTHER, "\ud800"),
        {
            **service(OTHER),
            "metadata": {"name": "odd", "annotations": {"outgate.dev/tls": "\ud800"}},
        },
    ]
    for each in odd:
        update(own, [(OTHER, each), (BIN, service(BIN))])
        assert BIN in own.programmed.destinations
        assert BIN not in problems(own)
        (problem,) = problems(own)[OTHER]
        assert "service/externalbin" in str(problem)


def host(namespace: str, export: str) -> tuple[Source, dict[str, Any]]:
    return Source("ExternalService", namespace, "outside"), {
        "apiVersion": "outgate.dev/v1alpha1",
        "kind": "ExternalService",
        "metadata": {"name": "outside", "namespace": namespace},
        "spec": {
            "hosts": ["api.example.com"],
            "exportTo": [export],
            "ports": [{"name": "tls", "port": 443, "protocol": "TLS"}],
        },
    }


def test_a_namespace_that_comes_finds_what_all_see_where_others_see_their_own() -> None:
    own = mesh()
    own.namespaces = frozenset("ab")
    delta = own.update([host("a", "."), host("b", "*")])
    assert names(delta, CLUSTER) == [f"tls@{each}|api.example.com:443" for each in "ab"]
    own.namespaces = frozenset("abc")
    assert names(own.update([]), CLUSTER) == ["tls@c|api.example.com:443"]


@pytest.mark.parametrize(
    ("allowed", "closed"),
    [((), "10.1.0.0/16,10.9.0.1/32"), (("10.1.0.0/16",), "10.9.0.1/32"), (("10.0.0.0/8",), "")],
)
def test_private_ranges_that_the_installation_does_not_let_pass_are_said(
    allowed: tuple[str, ...], closed: str
) -> None:
    mesh = Mesh(SITE, Upstream(Settings(guard_allow=allowed), "/ca.pem", marked=False))
    source, item = host("ns", ".")
    item["spec"] |= {"privateRanges": ["10.1.0.0/16"], "endpoints": [{"address": "10.9.0.1"}]}
    delta = mesh.update([(source, item)])
    assert names(delta, CLUSTER)
    found = mesh.problems(source)
    assert [each.severity for each in found] == ([Severity.WARNING] if closed else [])
    assert all(f"OUTGATE_GUARD_ALLOW={closed}" in each.hint for each in found)


def test_what_cannot_be_programmed_leaves_all_others_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = mesh()
    made = holding.resources

    def fail(held: Any, *rest: Any) -> Any:
        if held.name == BIN:
            raise ValueError("Value out of range: 4718592000")
        return made(held, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(holding, "resources", fail)
        delta = update(own, [(BIN, service(BIN)), (OTHER, service(OTHER))])
        assert names(delta, CLUSTER) == ["http|externalbin.other|80"]
        (problem,) = problems(own)[BIN]
        assert "cannot be programmed: ValueError: Value out of range" in problem.message
        assert problem.severity is Severity.ERROR
    delta = update(own, [(BIN, service(BIN, "other.example.com"))])
    assert names(delta, CLUSTER) == ["http|externalbin.default|80"]
    assert problems(own) == {}


def test_endpoints_whose_weights_are_too_many_end_nothing() -> None:
    own = mesh()
    where = [
        {"address": "a.example", "weight": 2**20, "locality": f"r{n % 2}"} for n in range(9000)
    ]
    port = {"number": 80, "name": "http", "protocol": "HTTP"}
    entry = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "e", "namespace": "default"},
        "spec": {
            "hosts": ["a.example.com"],
            "ports": [port],
            "resolution": "DNS",
            "endpoints": where,
        },
    }
    source = Source("ServiceEntry", "default", "e")
    own.update([(source, entry)])
    (problem,) = own.problems(source)
    assert problem.path == "spec.endpoints"


@pytest.mark.parametrize(
    "rule",
    [
        {"http": [{"paths": [{"regex": "("}]}]},
        {"http": [{"paths": [{"regex": r"\pL{900}"}]}]},
        {"credential": {"header": "Authorization", "file": "/etc/passwd"}},
        {"to": 7},
    ],
)
def test_a_policy_that_cannot_be_used_allows_nothing(rule: dict[str, Any]) -> None:
    own, source = mesh(), Source("EgressPolicy", "default", "p")
    policy: dict[str, Any] = {
        "apiVersion": "outgate.dev/v1alpha1",
        "kind": "EgressPolicy",
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {"rules": [{"to": [{"host": "api.example.com"}]}]},
    }
    own.update([(source, policy)])
    own.update([(source, {**policy, "spec": {"rules": [rule]}})])
    (closed,) = own.assembly.policies("default")
    assert (closed.name, closed.rules, closed.mode) == ("p", (), Mode.ENFORCE)
    assert own.problems(source)
    own.update([(source, {**policy, "spec": {"mode": "Audit", "rules": [rule]}})])
    assert [each.mode for each in own.assembly.policies("default")] == [Mode.AUDIT]
    own.update([(source, None)])
    assert own.assembly.policies("default") == ()


@pytest.mark.parametrize(
    "said",
    [
        {"endpoints": [{"address": "127.0.0.1"}]},
        {"endpoints": [{"address": "169.254.169.254"}]},
        {"privateRanges": ["0.0.0.0/0"]},
        {"addresses": ["169.254.0.0/16"]},
        {"proxy": {"address": "::1", "port": 3128}},
    ],
)
def test_nothing_leads_to_the_egress_itself_or_to_a_metadata_service(said: dict[str, Any]) -> None:
    own, source = mesh(), Source("ExternalService", "default", "e")
    spec = {"hosts": ["api.example.com"], "ports": [{"port": 80, "protocol": "HTTP"}], **said}
    document = {
        "apiVersion": "outgate.dev/v1alpha1",
        "kind": "ExternalService",
        "metadata": {"name": "e", "namespace": "default"},
        "spec": spec,
    }
    delta = own.update([(source, document)])
    assert delta.changed == ()
    (problem,) = own.problems(source)
    assert problem.severity is Severity.ERROR
