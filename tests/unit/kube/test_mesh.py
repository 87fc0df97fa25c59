from typing import Any

from outgate.kube.controller import SITE
from outgate.kube.mesh import Mesh
from outgate.model.names import Name
from outgate.settings import Settings
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
    delta = own.update([(BIN, service(BIN)), (OTHER, service(OTHER))])
    assert names(delta, CLUSTER) == ["http|externalbin.default|80", "http|externalbin.other|80"]
    assert own.problems == {}


def test_what_does_not_change_what_is_declared_changes_nothing() -> None:
    own = mesh()
    own.update([(BIN, service(BIN))])
    again = service(BIN)
    again["metadata"] |= {"resourceVersion": "2", "annotations": {"a": "b"}}
    delta = own.update([(BIN, again)])
    assert (delta.changed, delta.removed) == ((), ())


def test_services_of_the_cluster_are_none_of_our_business() -> None:
    own = mesh()
    inside = service(BIN, type="ClusterIP", clusterIP="10.96.0.9", selector={"app": "x"})
    del inside["spec"]["externalName"]
    delta = own.update([(BIN, inside)])
    assert (delta.changed, delta.removed, own.problems) == ((), (), {})


def test_one_that_is_wrong_or_stops_being_external_is_taken_away() -> None:
    for after in (service(BIN, "192.0.2.1"), service(BIN, type="ClusterIP"), None):
        own = mesh()
        own.update([(BIN, service(BIN))])
        delta = own.update([(BIN, after)])
        assert (CLUSTER, "http|externalbin.default|80") in delta.removed
        wrong = after is not None and after["spec"]["type"] == "ExternalName"
        assert (BIN in own.problems) == wrong


def test_a_problem_names_the_object_and_goes_when_it_is_mended() -> None:
    own = mesh()
    own.update([(BIN, service(BIN, "192.0.2.1"))])
    (problem,) = own.problems[BIN]
    assert str(problem).startswith(
        "services/default/externalbin:1: error: service/externalbin: spec.externalName: "
    )
    own.update([(BIN, service(BIN))])
    assert own.problems == {}


def test_the_egress_marks_no_socket_and_answers_no_names() -> None:
    own = mesh()
    start, delta = own.start(), own.update([(BIN, service(BIN))])
    assert not any(b"socket_options" in each.value for each in delta.changed)
    assert "dns" not in names(start, LISTENER) + names(delta, LISTENER)
    # SO_MARK takes a capability that nobody gets there.
    marked = Mesh(SITE, Upstream(Settings(), "/ca.pem")).update([(BIN, service(BIN))])
    assert [len(each.value) for each in marked.changed] != [
        len(each.value) for each in delta.changed
    ]
