from typing import Any

import pytest
from tests.unit.kube.meshes import update

from outgate.errors import UsageError
from outgate.inject import pod as pods
from outgate.inject.options import Options
from outgate.kube.capturing import captured
from outgate.kube.controller import SITE
from outgate.kube.debugging import SIDECAR_LISTENERS
from outgate.kube.explaining import Known, explain
from outgate.kube.mesh import Mesh
from outgate.model.declarations import Source
from outgate.model.names import Name
from outgate.settings import Settings
from outgate.xds import explaining
from outgate.xds.building import CLUSTER, SCOPED_ROUTE
from outgate.xds.clusters import Upstream
from outgate.xds.explaining import Explainer
from outgate.xds.snapshot import Snapshot

INSIDE = ("10.96.0.0/16", "10.244.0.0/24", "fd00:10::/64")
PLAIN_DNS = {"dns_capture": "false"}
PLAIN: dict[str, Any] = {
    "metadata": {"name": "app", "namespace": "default"},
    "spec": {"containers": [{"name": "app", "image": "x"}], "serviceAccountName": "own"},
}


def service(name: str, host: str, /, **port: Any) -> dict[str, Any]:
    spec = {"type": "ExternalName", "externalName": host, "ports": [port]}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


@pytest.fixture(scope="module")
def both() -> tuple[Explainer, Snapshot]:
    mesh = Mesh(SITE, Upstream(Settings(), "/ca.pem", marked=False))
    delta = update(
        mesh,
        (
            (Name("default", each["metadata"]["name"]), each)
            for each in (
                service("bin", "httpbin.org", port=80, name="http"),
                service("google", "www.google.com", port=443, name="https"),
                service("db", "db.example.com", port=5432, name="tcp"),
            )
        ),
    )
    snapshot = Snapshot().replace(delta.changed, delta.removed)
    return Explainer(mesh.programmed, "cluster.local", SIDECAR_LISTENERS), snapshot


def pod(**annotations: str) -> dict[str, Any]:
    said = {f"outgate.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    metadata = PLAIN["metadata"] | {"annotations": said}
    return pods.inject(PLAIN | {"metadata": metadata}, Options())


def ask(
    explainer: Explainer, which: dict[str, Any], url: str, found: dict[str, Any] | None = None
) -> dict[str, Any]:
    called = explaining.target(url)
    answer = explainer.explain(called, "default")
    return explain(which, called, Known(answer, INSIDE, "cluster.local", found))


def test_a_declared_call(both: tuple[Explainer, Snapshot]) -> None:
    explainer, snapshot = both
    for url in ("http://bin/headers", "http://google.default.svc:443"):
        found = ask(explainer, pod(), url)
        assert found["decision"] == "allowed"
        assert found["identity"] == "spiffe://cluster.local/ns/default/sa/own"
        assert snapshot.get(CLUSTER, found["cluster"]) is not None
        assert snapshot.get(SCOPED_ROUTE, found["route"]) is not None
        assert found["address"].startswith("240.240.")
        # Without DNS capture its name has the real address.
        assert "address" not in ask(explainer, pod(dns_capture="false"), url)


def test_plain_tcp_is_found_by_the_address_that_its_name_has(
    both: tuple[Explainer, Snapshot],
) -> None:
    explainer, snapshot = both
    found = ask(explainer, pod(), "tcp://db:5432")
    assert (found["decision"], found["listener"]) == ("allowed", "raw")
    assert snapshot.get(CLUSTER, found["cluster"]) is not None


def test_an_alias_of_something_inside_is_called_directly(both: tuple[Explainer, Snapshot]) -> None:
    alias = service("web", "web.other.svc.cluster.local", port=80)
    assert ask(both[0], pod(), "http://web", alias)["decision"] == "direct"


@pytest.mark.parametrize(
    ("annotations", "url", "decision", "reason"),
    [
        ({}, "http://httpbin.org", "denied", "in this pod the name does not resolve"),
        (PLAIN_DNS, "http://httpbin.org", "denied", "no resource declares httpbin.org"),
        ({}, "http://bin:81", "denied", "declares no port 81"),
        ({}, "http://192.0.2.1", "denied", "no resource declares 192.0.2.1"),
        (PLAIN_DNS, "tcp://db:5432", "denied", "by which neither plain TCP can be told apart"),
        ({}, "http://10.96.0.1", "direct", "inside the cluster (10.96.0.0/16)"),
        ({}, "tcp://[fd00:10::7]:53", "direct", "inside the cluster (fd00:10::/64)"),
        ({}, "http://127.0.0.1:8080", "direct", "it stays in the pod"),
        ({"exclude_ip_ranges": "192.0.2.0/24"}, "http://192.0.2.1", "direct", "192.0.2.0/24"),
        ({"exclude_ports": "5432"}, "tcp://db:5432", "allowed", "declared as tcp"),
        (
            PLAIN_DNS | {"exclude_ports": "5432"},
            "tcp://db:5432",
            "direct",
            "port 5432 is not captured",
        ),
        ({"exclude_ports": "80"}, "http://192.0.2.1", "direct", "port 80 is not captured"),
        ({"include_ip_ranges": "198.51.100.0/24"}, "http://192.0.2.1", "direct", "only 198.51"),
        ({"include_ip_ranges": "192.0.2.0/24"}, "http://192.0.2.1", "denied", "no resource"),
        (
            {"include_ip_ranges": "198.51.100.0/24", "include_ports": "80"},
            "http://192.0.2.1",
            "denied",
            "no resource",
        ),
        ({"include_ip_ranges": "198.51.100.0/24"}, "http://bin", "allowed", "declared as http"),
        (
            PLAIN_DNS | {"include_ip_ranges": "198.51.100.0/24"},
            "http://bin",
            "allowed",
            "only where its addr",
        ),
        ({"include_ip_ranges": "198.51.100.0/24"}, "http://x.org", "denied", "only where its addr"),
    ],
)
def test_decisions(
    both: tuple[Explainer, Snapshot],
    annotations: dict[str, str],
    url: str,
    decision: str,
    reason: str,
) -> None:
    found = ask(both[0], pod(**annotations), url)
    assert (found["decision"], found["reason"]) == (decision, found["reason"])
    assert reason in found["reason"]


def test_services_inside_are_called_directly(both: tuple[Explainer, Snapshot]) -> None:
    inside = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.9"},
    }
    found = ask(both[0], pod(), "http://web", inside)
    assert (found["decision"], found["reason"]) == (
        "direct",
        "service/web in namespace default is inside the cluster",
    )
    # An external one that is wrong is not inside.
    wrong = service("web", "192.0.2.1", port=80)
    assert ask(both[0], pod(), "http://web", wrong)["decision"] == "denied"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "it was made without capture"),
        ({"spec": PLAIN["spec"] | {"hostNetwork": True}}, "host's network"),
        (
            {"metadata": PLAIN["metadata"] | {"annotations": {"outgate.dev/inject": "false"}}},
            'the annotation outgate.dev/inject is "false"',
        ),
    ],
)
def test_pods_that_are_not_captured(
    both: tuple[Explainer, Snapshot], change: dict[str, Any], reason: str
) -> None:
    found = ask(both[0], PLAIN | change, "http://bin")
    assert found["decision"] == "not captured"
    assert reason in found["reason"]


def test_a_status_annotation_alone_is_no_capture() -> None:
    said = {"annotations": {"outgate.dev/status": "injected-version-9"}}
    assert captured(PLAIN | {"metadata": PLAIN["metadata"] | said}) is None


def test_an_init_container_that_says_nonsense_is_one_clear_error() -> None:
    wrong = pod()
    wrong["spec"]["initContainers"][0]["args"] = ["--include=x"]
    with pytest.raises(UsageError, match="pod app: its init container outgate-init: --include"):
        captured(wrong)


def host(export: str, name: str, *ports: tuple[str, int]) -> tuple[Source, dict[str, Any]]:
    listed = [{"name": f"p{number}", "port": number, "protocol": kind} for kind, number in ports]
    return Source("ExternalService", "default", name.strip("*.").replace(".", "-")), {
        "apiVersion": "outgate.dev/v1alpha1",
        "kind": "ExternalService",
        "metadata": {"name": name.strip("*.").replace(".", "-"), "namespace": "default"},
        "spec": {"hosts": [name], "exportTo": [export], "ports": listed},
    }


@pytest.mark.parametrize(
    ("url", "without_dns"),
    [
        ("http://own.test/", "allowed"),
        ("https://own.test/", "denied"),
        ("https://all.test/", "allowed"),
        ("http://a.wild.test/", "denied"),
        ("tcp://raw.test:22", "denied"),
    ],
)
def test_what_is_found_without_dns_capture(url: str, without_dns: str) -> None:
    mesh = Mesh(SITE, Upstream(Settings(), "/ca.pem", marked=False))
    mesh.namespaces = frozenset(["default"])
    mesh.update(
        [
            host(".", "own.test", ("HTTP", 80), ("TLS", 443)),
            host("*", "all.test", ("TLS", 443)),
            host(".", "*.wild.test", ("HTTP", 80)),
            host("*", "raw.test", ("TCP", 22)),
        ]
    )
    explainer = Explainer(mesh.programmed, "cluster.local", SIDECAR_LISTENERS)
    assert ask(explainer, pod(), url)["decision"] == "allowed"
    assert ask(explainer, pod(dns_capture="false"), url)["decision"] == without_dns
