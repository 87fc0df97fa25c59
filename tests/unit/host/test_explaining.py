import json
from types import MappingProxyType
from typing import Any

import pytest

from outgate.errors import NotFoundError, UsageError
from outgate.host.explaining import explain
from outgate.host.mesh import Mesh
from outgate.model.names import Name
from outgate.model.ranges import parse_ranges
from outgate.model.workloads import Workload
from outgate.resources.manifests import read
from outgate.settings import Settings
from outgate.xds.building import CLUSTER, LISTENER, ROUTE, SCOPED_ROUTE
from outgate.xds.clusters import Upstream
from outgate.xds.egress import Site
from outgate.xds.snapshot import Snapshot

POD = Name("default", "sleep")


def service(name: str, namespace: str, host: str, *ports: dict[str, Any]) -> dict[str, Any]:
    spec = {"type": "ExternalName", "externalName": host, "ports": list(ports)}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def external(
    name: str, namespace: str, host: str, export: str, *ports: str, **more: Any
) -> dict[str, Any]:
    listed = []
    for each in ports:
        protocol, number = each.split(":")
        listed.append({"name": f"p{number}", "port": int(number), "protocol": protocol})
    return {
        "apiVersion": "outgate.dev/v1alpha1",
        "kind": "ExternalService",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"hosts": [host], "exportTo": [export], "ports": listed, **more},
    }


SERVICES = (
    service("bin", "default", "httpbin.org", {"port": 80, "name": "http"}),
    service("google", "default", "www.google.com", {"port": 443, "name": "https"}),
    service("db", "default", "db.example.com", {"port": 5432, "name": "tcp"}),
    service("bin", "other", "other.example.com", {"port": 80, "name": "http"}),
    external("api", "default", "api.example.com", ".", "HTTP:80", "TLS:443", "TCP:22"),
    external("all", "other", "all.example.com", "*", "HTTPS:80", "TLS:443"),
    external("wild", "default", "*.wild.test", ".", "HTTPS:80", "TLS:443"),
    external(
        "near", "default", "near.test", ".", "HTTP:80", "TLS:443", addresses=["203.0.113.0/24"]
    ),
    external("private", "other", "private.test", ".", "HTTP:80"),
)


@pytest.fixture(scope="module")
def both() -> tuple[Mesh, Snapshot]:
    mesh = Mesh(Site("/log", "/t", 1, 2), Upstream(Settings(), "/ca"))
    snapshot = Snapshot()
    text = "\n---\n".join(json.dumps(each) for each in SERVICES)
    linked = Workload(Name("default", "linked"), "/l", include=parse_ranges("10.0.0.0/8", ""))
    for delta in (
        mesh.start(),
        mesh.update_files([("f", read(text, "f"))]),
        mesh.add_workload(Workload(POD, "/n", labels=MappingProxyType({}))),
        mesh.add_workload(linked),
    ):
        snapshot = snapshot.replace(delta.changed, delta.removed)
    return mesh, snapshot


@pytest.fixture(scope="module")
def mesh(both: tuple[Mesh, Snapshot]) -> Mesh:
    return both[0]


@pytest.mark.parametrize(
    ("url", "resource"),
    [
        ("http://bin/headers", "service/bin in namespace default"),
        ("http://bin.default", "service/bin in namespace default"),
        ("http://bin.default.svc.cluster.local./", "service/bin in namespace default"),
        ("http://BIN:80/", "service/bin in namespace default"),
        ("bin", "service/bin in namespace default"),
        ("http://bin.other/", "service/bin in namespace other"),
        ("http://google:443/", "service/google in namespace default"),
        ("tcp://db:5432", "service/db in namespace default"),
        ("http://api.example.com/", "externalservice/api in namespace default"),
        ("https://api.example.com/", "externalservice/api in namespace default"),
        ("tcp://api.example.com:22", "externalservice/api in namespace default"),
        ("http://all.example.com/", "externalservice/all in namespace other"),
        ("https://all.example.com/", "externalservice/all in namespace other"),
        ("http://a.b.wild.test/", "externalservice/wild in namespace default"),
        ("https://a.wild.test/", "externalservice/wild in namespace default"),
        ("http://203.0.113.7/", "externalservice/near in namespace default"),
        ("https://203.0.113.7/", "externalservice/near in namespace default"),
    ],
)
def test_allowed(both: tuple[Mesh, Snapshot], url: str, resource: str) -> None:
    mesh, snapshot = both
    found = explain(mesh, POD, url)
    assert (found["decision"], found["resource"]) == ("allowed", resource)
    # What it names is what Envoy has.
    assert snapshot.get(LISTENER, found["listener"]) is not None
    assert snapshot.get(CLUSTER, found["cluster"]) is not None
    if "route" in found:
        kind = ROUTE if found["route"].startswith("wild|") else SCOPED_ROUTE
        assert snapshot.get(kind, found["route"]) is not None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://httpbin.org/", "no resource declares httpbin.org"),
        ("http://bin:81/", "declares no port 81, but 80"),
        ("http://google/", "declares no port 80, but 443"),
        ("https://google/", "call it as http://google:443"),
        ("http://bin.third/", "no resource declares"),
        ("http://bin.other.example.com/", "no resource declares"),
        ("http://192.0.2.1/", "no resource declares 192.0.2.1"),
        ("http://240.240.0.1:80/", "no resource declares 240.240.0.1"),
        ("http://private.test/", "declared by externalservice/private in namespace other"),
        ("http://api.example.com:443/", "call it as https://api.example.com"),
        ("https://all.example.com:80/", "call it as http://all.example.com"),
        ("https://a.wild.test:80/", "call it as http://a.wild.test"),
        ("tcp://203.0.113.7:22", "declares no port 22, but 80, 443"),
        ("http://203.0.114.7/", "no resource declares 203.0.114.7"),
        ("http://wild.test/", "no resource declares wild.test"),
        ("http://a.wild.test.evil.test/", "no resource declares"),
    ],
)
def test_denied_and_why(mesh: Mesh, url: str, reason: str) -> None:
    found = explain(mesh, POD, url)
    assert found["decision"] == "denied"
    assert reason in found["reason"]


def test_a_virtual_address_is_its_service(mesh: Mesh) -> None:
    address = mesh.programmed.allocation.addresses[Name("default", "db")]
    for host in (str(address.ipv4), f"[{address.ipv6}]"):
        found = explain(mesh, POD, f"tcp://{host}:5432")
        assert found["resource"] == "service/db in namespace default"
        assert found["listener"] == "pod|sleep.default|raw"


def test_http_by_address_has_no_name_to_be_found_by(mesh: Mesh) -> None:
    address = mesh.programmed.allocation.addresses[Name("default", "bin")]
    found = explain(mesh, POD, f"http://{address.ipv4}/")
    assert found["decision"] == "denied"
    assert "call bin, not its address" in found["reason"]


def test_where_only_ranges_are_captured_it_says_what_becomes_of_the_rest(mesh: Mesh) -> None:
    found = explain(mesh, Name("default", "linked"), "http://httpbin.org/")
    assert "outside of 10.0.0.0/8" in found["reason"]


@pytest.mark.parametrize("url", ["http://", "ftp://bin", "http://bin:x/", "http://[::1"])
def test_what_is_no_url(mesh: Mesh, url: str) -> None:
    with pytest.raises(UsageError, match="is not a URL"):
        explain(mesh, POD, url)


def test_a_pod_that_is_not_there(mesh: Mesh) -> None:
    with pytest.raises(NotFoundError, match='pods "none" not found'):
        explain(mesh, Name("default", "none"), "http://bin")


def test_of_an_address_nothing_is_resolved(mesh: Mesh) -> None:
    assert "resolve" in explain(mesh, POD, "http://httpbin.org/")["reason"]
    assert "resolve" not in explain(mesh, POD, "tcp://192.0.2.1:22")["reason"]
