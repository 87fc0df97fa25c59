"""The cluster is a real one: pods, Services, names, and a small internet outside."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
import yaml
from tests.cluster.archive import Image
from tests.cluster.cluster import Cluster
from tests.cluster.commands import ClusterError
from tests.cluster.images import CURL, NET, programs
from tests.cluster.internet import ClusterInternet

pytestmark = pytest.mark.cluster

Kubectl = Callable[..., str]
GREETING = "hello from web"


def pod(name: str, image: str, *command: str) -> str:
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command or ("sleep", "infinity"),
    }
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }
    return yaml.safe_dump(manifest)


def service(name: str, **spec: object) -> str:
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
    return yaml.safe_dump(manifest)


@pytest.fixture(scope="module")
def home(cluster: Cluster) -> Iterator[str]:
    """A namespace with a client `curl`, and a server `web` behind a Service, each ready."""
    with cluster.namespace() as name:
        prepare = f"mkdir /www && echo {GREETING} >/www/index.html"
        serve = f"{prepare} && exec busybox httpd -f -p [::]:8080 -h /www"
        port = {"port": 80, "targetPort": 8080}
        cluster.apply(
            pod("curl", CURL),
            pod("web", NET, "sh", "-c", serve),
            service("web", selector={"app": "web"}, ports=[port], ipFamilyPolicy="PreferDualStack"),
            service("externalbin", type="ExternalName", externalName="httpbin.org"),
            namespace=name,
        )
        cluster.wait("Ready", "pod/curl", "pod/web", namespace=name)
        yield name


@pytest.fixture
def curl(cluster: Cluster, home: str) -> Callable[..., str]:
    def call(*words: str) -> str:
        patient = ("--max-time", "5", "--retry", "3", "--retry-connrefused")
        return cluster.exec("curl", "curl", "-sS", *patient, *words, namespace=home)

    return call


@pytest.fixture
def nslookup(cluster: Cluster, home: str) -> Callable[..., str]:
    return lambda *words: cluster.exec("curl", "nslookup", *words, namespace=home)


def pod_addresses(cluster: Cluster, home: str, name: str) -> list[IPv4Address | IPv6Address]:
    path = "-o=jsonpath={.status.podIPs[*].ip}"
    found = cluster.kubectl("get", "-n", home, "pod", name, path)
    return [ip_address(each) for each in found.split()]


def test_nodes_pods_and_services_have_both_families(cluster: Cluster, home: str) -> None:
    node = cluster.kubectl("get", "nodes", "-o=jsonpath={.items[*].status.addresses[*].address}")
    path = "-o=jsonpath={.spec.clusterIPs[*]}"
    services = cluster.kubectl("get", "-n", home, "service", "web", path)
    place = cluster.node.place
    assert {str(each[2]) for each in place.link_nets} < set(node.split())
    for nets, found in (
        (place.pod_nets, pod_addresses(cluster, home, "web")),
        (place.service_nets, [ip_address(each) for each in services.split()]),
    ):
        assert [any(each in net for net in nets) for each in found] == [True] * len(nets)


def test_names_of_the_cluster_resolve(cluster: Cluster, nslookup: Callable[..., str]) -> None:
    expected = str(cluster.node.place.service_nets[0][1])
    assert expected in nslookup("kubernetes.default.svc.cluster.local")


def test_names_outside_resolve(
    internet: ClusterInternet, nslookup: Callable[..., str], namespace: str
) -> None:
    address = internet.plan.records()["httpbin.org", "A"][0]
    assert address in nslookup("-type=a", "httpbin.org")
    fresh = f"{namespace}.test"
    internet.set_record(fresh, "A", [address])
    assert address in nslookup("-type=a", fresh)
    internet.set_record(fresh, "A", [])
    with pytest.raises(ClusterError, match="NXDOMAIN"):
        nslookup("-type=a", fresh)


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_a_pod_reaches_what_is_outside(
    internet: ClusterInternet, curl: Callable[..., str], family: str
) -> None:
    if family == "-6" and not internet.plan.ipv6:
        pytest.skip("this machine has no IPv6")
    answer = json.loads(curl(family, "http://httpbin.org/headers"))
    assert answer["headers"]["Host"] == "httpbin.org"


def test_what_is_outside_sees_which_pod_asks(
    cluster: Cluster, internet: ClusterInternet, curl: Callable[..., str], home: str
) -> None:
    before = len(internet.canary())
    # An address that nobody has, and none of the small internet's: what a pod sends ends there all the same.
    with pytest.raises(ClusterError, match="exit status 28"):
        curl("--max-time", "1", "--retry", "0", "http://192.0.2.77:81/")
    source = str(pod_addresses(cluster, home, "curl")[0])
    wanted = {"source": source, "destination": "192.0.2.77", "port": 81}
    assert [each for each in internet.canary(before) if wanted.items() <= each.items()]


@pytest.mark.usefixtures("internet")
def test_an_external_name_is_an_alias(
    curl: Callable[..., str], nslookup: Callable[..., str], home: str
) -> None:
    said = nslookup("-type=a", f"externalbin.{home}.svc.cluster.local")
    assert "canonical name = httpbin.org" in said
    assert json.loads(curl("http://externalbin/headers"))["headers"]["Host"] == "externalbin"


@pytest.mark.parametrize("number", [0, 1])
def test_a_pod_reaches_a_service_of_another(
    cluster: Cluster, curl: Callable[..., str], home: str, number: int
) -> None:
    path = "-o=jsonpath={.spec.clusterIPs[*]}"
    addresses = cluster.kubectl("get", "-n", home, "service", "web", path).split()
    if number >= len(addresses):
        pytest.skip("this machine has no IPv6")
    url = f"http://[{addresses[number]}]/" if number else f"http://{addresses[number]}/"
    assert curl(url).strip() == GREETING
    assert curl("http://web/").strip() == GREETING


def test_the_api_server_can_go_and_come(cluster: Cluster, kubectl: Kubectl, home: str) -> None:
    address = pod_addresses(cluster, home, "web")[0]
    cluster.stop("kube-apiserver")
    try:
        with pytest.raises(ClusterError, match="refused"):
            kubectl("get", "pods", "-n", home)
        # Pods go on; the host reaches them as well.
        with urllib.request.urlopen(f"http://{address}:8080/", timeout=5) as answer:
            assert answer.read().decode().strip() == GREETING
    finally:
        cluster.start("kube-apiserver")
    assert "web" in kubectl("get", "pods", "-n", home)


@pytest.mark.parametrize("part", ["containerd", "kubelet", "coredns"])
def test_another_part_can_go_and_come(
    cluster: Cluster, curl: Callable[..., str], namespace: str, part: str
) -> None:
    cluster.stop(part)
    cluster.start(part)
    cluster.apply(pod("new", NET), namespace=namespace)
    cluster.wait("Ready", "pod/new", namespace=namespace)
    assert curl("http://web/").strip() == GREETING


def test_an_image_can_be_added(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    name = "localhost/added:1"
    tree = programs("sleep")
    Image(name, tree, entrypoint=(f"/{next(iter(tree))}",)).pack(tmp_path / "image.tar")
    cluster.import_image(tmp_path / "image.tar")
    cluster.kubectl("run", "-n", namespace, "added", f"--image={name}", "--", "infinity")
    cluster.wait("Ready", "pod/added", namespace=namespace)
