import json
from types import MappingProxyType
from typing import Any

from outgate.model.deriving import destination, selects
from outgate.model.destinations import Endpoint, External, Internal, Port
from outgate.model.names import Name
from outgate.model.workloads import Workload
from outgate.resources.kinds import parse
from outgate.resources.manifests import read
from outgate.resources.services import Service
from outgate.traffic.references import Protocol


def service(**spec: Any) -> Service:
    value = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "ns"}}
    (found,) = parse(read(json.dumps({**value, "spec": spec}), "f").documents).services
    return found


def pod(name: str, namespace: str = "ns", **labels: str) -> Workload:
    return Workload(Name(namespace, name), f"/{name}", labels=MappingProxyType(labels))


def test_an_external_name_with_its_ports() -> None:
    ports = [
        {"port": 80, "name": "http-a"},
        {"port": 443, "name": "https"},
        {"port": 5, "name": "x"},
    ]
    found = destination(service(type="ExternalName", externalName="h.example.com", ports=ports), ())
    expected = (
        Port(80, Protocol.HTTP, "http-a"),
        Port(443, Protocol.HTTPS, "https"),
        Port(5, Protocol.TCP, "x"),
    )
    assert found == External(Name("ns", "s"), "h.example.com", expected, source="service/s")


def test_udp_ports_are_left_out_and_what_has_no_other_declares_nothing() -> None:
    udp = {"port": 53, "name": "dns", "protocol": "UDP"}
    both = [udp, {"port": 80, "name": "http"}]
    found = destination(service(type="ExternalName", externalName="h.example.com", ports=both), ())
    assert found is not None
    assert [port.number for port in found.ports] == [80]
    assert (
        destination(service(type="ExternalName", externalName="h.example.com", ports=[udp]), ())
        is None
    )
    assert destination(service(type="ExternalName", externalName="h.example.com"), ()) is None


def test_a_service_without_a_selector_declares_nothing() -> None:
    assert destination(service(ports=[{"port": 80}]), (pod("a"),)) is None


def test_endpoints_are_the_selected_pods_sorted_with_the_target_port() -> None:
    chosen = service(
        selector={"app": "x"},
        ports=[{"port": 80, "name": "http", "targetPort": 8000}, {"port": 9, "name": "b"}],
    )
    pods = (pod("b", app="x"), pod("a", app="x", more="y"), pod("c", app="y"))
    found = destination(chosen, pods)
    assert isinstance(found, Internal)
    assert found.endpoints == (
        (Endpoint(Name("ns", "a"), "/a", 8000), Endpoint(Name("ns", "b"), "/b", 8000)),
        (Endpoint(Name("ns", "a"), "/a", 9), Endpoint(Name("ns", "b"), "/b", 9)),
    )


def test_a_named_target_port_leads_nowhere() -> None:
    chosen = service(
        selector={"app": "x"}, ports=[{"port": 80, "name": "http", "targetPort": "web"}]
    )
    found = destination(chosen, (pod("a", app="x"),))
    assert isinstance(found, Internal)
    assert found.endpoints == ((),)


def test_selecting_needs_the_namespace_and_every_label() -> None:
    chosen = service(selector={"app": "x", "tier": "y"}, ports=[{"port": 80}])
    assert selects(chosen, pod("a", app="x", tier="y", more="z"))
    assert not selects(chosen, pod("a", app="x"))
    assert not selects(chosen, pod("a", "other", app="x", tier="y"))
    assert not selects(service(ports=[{"port": 80}]), pod("a"))
