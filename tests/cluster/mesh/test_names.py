"""What names a captured pod can resolve, that no query gets out, and plain TCP, which needs names of its own."""

import ipaddress
import json
import time
from collections.abc import Iterator

import pytest
from dnslib import DNSRecord
from tests.cluster.internet import ClusterInternet
from tests.cluster.mesh.asking import Pod, Question, addresses, asked_of_the_cluster, start
from tests.cluster.mesh.calling import APP, WEB
from tests.cluster.mesh.conftest import SERVICES, SYSTEM, Mesh
from tests.cluster.mesh.operating import programmed
from tests.cluster.mesh.waiting import eventually

from outgate.firewall.rules import VIRTUAL
from outgate.model.addresses import SHARED

PLAIN = """
apiVersion: v1
kind: Service
metadata: {name: banner}
spec: {type: ExternalName, externalName: banner.test, ports: [{port: 7778, name: tcp}]}
---
apiVersion: v1
kind: Service
metadata: {name: page}
spec: {type: ExternalName, externalName: www.google.com, ports: [{port: 443, name: tcp}]}
---
apiVersion: v1
kind: Service
metadata: {name: bin}
spec: {type: ExternalName, externalName: httpbin.org, ports: [{port: 443, name: tcp}, {port: 80, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: portless}
spec: {type: ExternalName, externalName: portless-target.test}
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, selector: {app: web}, ports: [{name: http, port: 8080}]}
"""
ALIAS = """
apiVersion: v1
kind: Service
metadata: {name: alias}
spec: {type: ExternalName, externalName: web.NAMESPACE.svc.cluster.local, ports: [{port: 80, name: http}]}
"""


@pytest.fixture(scope="module")
def app(mesh: Mesh) -> Iterator[Pod]:
    with mesh.cluster.namespace() as name:
        alias = ALIAS.replace("NAMESPACE", name)
        mesh.cluster.apply(SERVICES, PLAIN, alias, WEB, namespace=name)
        made = start(mesh, name, "app")
        mesh.cluster.wait("Ready", "pod/web", namespace=name)
        # Until then the cluster's own DNS answers; on a busy machine that may take seconds.
        programmed(mesh, name, "externalbin", "securegoogle", "banner", "page", "bin")
        yield made


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("server", ["", "192.0.2.1", "2001:db8::1"])
def test_declared_names_have_virtual_addresses(app: Pod, server: str, tcp: bool) -> None:
    name = app.full("externalbin")
    spelled = name.replace("externalbin", "ExternalBin")
    found = app.ask(
        (name, "A"), (spelled, "A"), (name, "AAAA"), (app.full("page"), "A"), server=server, tcp=tcp
    )
    assert [each[0] for each in found] == ["NOERROR"] * 4
    (four,), (again,), (six,), (other,) = map(addresses, found)
    assert four == again
    assert four in VIRTUAL[0]
    assert six in VIRTUAL[1]
    assert other not in (four, again)
    assert name not in asked_of_the_cluster(app.mesh)


def test_every_form_of_a_name_resolves(app: Pod) -> None:
    for form in (
        "",
        f".{app.namespace}",
        f".{app.namespace}.svc",
        f".{app.namespace}.svc.cluster.local",
    ):
        said = app.curl(f"-o /dev/null -w '%{{remote_ip}}' http://externalbin{form}/")
        assert any(ipaddress.ip_address(said) in each for each in VIRTUAL), form
    with app.mesh.cluster.namespace() as other:
        assert app.ask((f"externalbin.{other}.svc.cluster.local", "A"))[0][0] == "NXDOMAIN"


@pytest.mark.parametrize("tcp", [False, True])
def test_nothing_leaves_in_a_name(app: Pod, internet: ClusterInternet, tcp: bool) -> None:
    secret = f"secret{time.time_ns()}"
    outside: list[Question] = [
        *((f"{secret}.httpbin.org", kind) for kind in ("A", "AAAA", "TXT", "SRV", "HTTPS", "ANY")),
        *((f"{secret}.evil.test", kind) for kind in ("TXT", "MX", "CNAME", "NULL", "NS")),
        (f"{secret}.2.0.192.in-addr.arpa", "PTR"),
        (f"{secret}.cluster.local.evil.test", "A"),
        (f"{secret}cluster.local", "A"),
    ]
    chosen = ("pods", "-n", SYSTEM, "-l", "app.kubernetes.io/name=outgate-egress", "-o=json")
    pods = json.loads(app.mesh.cluster.kubectl("get", *chosen))["items"]
    # One of an earlier test may be ending.
    lasting = [each for each in pods if "deletionTimestamp" not in each["metadata"]]
    egress = lasting[0]["status"]["podIP"]
    for server, port in (("", 53), (internet.resolver, 53), (egress, 15353), (egress, 15354)):
        said = app.ask(*outside, server=server, port=port, tcp=tcp)
        # Of types other than addresses a name that is declared has none either.
        kinds = {kind: each for (_, kind), each in zip(outside, said, strict=True)}
        assert {kinds[each][0] for each in ("A", "AAAA", "PTR")} == {"NXDOMAIN"}, (server, port)
        assert {each[0] for each in said} <= {"NXDOMAIN", "NOERROR"}, (server, port)
        assert not any(records for _, records in said), (server, port)
    assert not [each for each in internet.canary() if secret in str(each.get("name", ""))]
    assert secret not in asked_of_the_cluster(app.mesh)


def test_the_control_without_capture_the_same_names_do_leave(
    mesh: Mesh, internet: ClusterInternet, namespace: str
) -> None:
    mesh.cluster.apply(APP, namespace=namespace)
    mesh.cluster.wait("Ready", "pod/app", namespace=namespace)
    secret = f"secret{time.time_ns()}"
    Pod(mesh, namespace).ask((f"{secret}.httpbin.org", "A"))
    assert [each for each in internet.canary() if secret in str(each.get("name", ""))]
    assert secret in asked_of_the_cluster(mesh)


def test_a_service_outside_is_asked_for_by_no_other_way(
    app: Pod, internet: ClusterInternet
) -> None:
    """The cluster's DNS would look up what it stands for."""
    for name in (app.full("portless"), app.full("externalbin")):
        odd = [(f"x.{name}", "A"), (f"_http._tcp.{name}", "SRV")]
        empty = [(name, kind) for kind in ("SRV", "TXT", "MX", "HTTPS", "CNAME", "NS", "ANY")]
        assert {each[0] for each in app.ask(*odd)} == {"NXDOMAIN"}
        assert app.ask(*empty) == [["NOERROR", []]] * len(empty)
    assert not [each for each in internet.canary() if each.get("name") == "portless-target.test"]


def test_one_without_ports_leads_nowhere(app: Pod) -> None:
    (answer,) = app.ask((app.full("portless"), "A"))
    assert addresses(answer) == [SHARED.ipv4]
    assert "403" in app.curl("-o /dev/null -w '%{http_code}' http://portless/")
    assert app.run("nc -w 2 portless 9 </dev/null") == ""


def test_names_inside_are_what_the_clusters_dns_says(app: Pod) -> None:
    (pod,) = app.mesh.cluster.kubectl(
        "get", "pod", "web", "-n", app.namespace, "-o=jsonpath={.status.podIP}"
    ).split()
    questions: list[Question] = [
        (app.full("web"), "A"),
        (app.full("web"), "AAAA"),
        (app.full("headless"), "A"),
        (f"_http._tcp.{app.full('web')}", "SRV"),
        (f"_http._tcp.{app.full('headless')}", "SRV"),
        (f"{pod.replace('.', '-')}.{app.namespace}.pod.cluster.local", "A"),
        ("kubernetes.default.svc.cluster.local", "A"),
        (app.full("nobody"), "A"),
        (app.full("alias"), "A"),
    ]
    expected = []
    for name, kind in questions:
        said = DNSRecord.parse(DNSRecord.question(name, kind).send(app.dns, timeout=3))
        expected.append(sorted(f"{each.rtype} {each.rdata}" for each in said.rr))
    for tcp in (False, True):
        assert [each[1] for each in app.ask(*questions, tcp=tcp)] == expected
    assert sum(1 for each in expected if each) >= 7
    assert app.curl("http://web/").strip() == "hello"
    assert app.curl("http://alias/").strip() == "hello"


def test_plain_tcp(app: Pod) -> None:
    # The server speaks first.
    assert "220 banner.test ready" in app.run("nc -w 3 banner 7778 </dev/null")
    (line, *_) = app.mesh.logged(namespace=app.namespace, decision="allowed", protocol="tcp")
    assert line["pod"] == "app"
    assert app.run("nc -w 3 banner 7779 </dev/null") == ""


def test_two_plain_services_on_one_port_are_told_apart(app: Pod) -> None:
    assert "google" in app.curl("-k https://page/").lower()
    assert json.loads(app.curl("-k https://bin/headers"))["headers"]["Host"] == "bin"
    # A port of HTTP beside one of plain TCP.
    assert json.loads(app.curl("http://bin/headers"))["headers"]["Host"] == "httpbin.org"


def test_http_goes_on_as_before(app: Pod) -> None:
    assert json.loads(app.curl("http://externalbin/headers"))["headers"]["Host"] == "httpbin.org"
    assert "google" in app.curl("http://securegoogle:443").lower()
    assert "Could not resolve host" in app.curl("http://httpbin.org/")


def test_a_name_comes_and_goes_with_its_service(app: Pod) -> None:
    name = "later"
    service = SERVICES.split("---")[0].replace("externalbin", name)
    assert app.ask((app.full(name), "A"))[0][0] == "NXDOMAIN"
    app.mesh.cluster.apply(service, namespace=app.namespace)
    eventually(lambda: app.ask((app.full(name), "A"))[0][0] == "NOERROR")
    app.mesh.cluster.kubectl("delete", "service", name, "-n", app.namespace)
    eventually(lambda: app.ask((app.full(name), "A"))[0][0] == "NXDOMAIN")


def test_dns_can_be_left_alone(app: Pod, internet: ClusterInternet) -> None:
    other = start(
        app.mesh, app.namespace, "left-alone", annotations='outgate.dev/dns-capture: "false"'
    )
    real = internet.plan.records()["httpbin.org", "A"]
    assert [str(each) for each in addresses(other.ask(("httpbin.org", "A"))[0])] == list(real)
    # HTTP finds its service by the Host; plain TCP has nothing to be told apart by.
    assert json.loads(other.curl("http://externalbin/headers"))["headers"]["Host"] == "httpbin.org"
    assert "403" in other.curl("-o /dev/null -w '%{http_code}' http://httpbin.org/")
    assert other.run("nc -w 3 banner 7778 </dev/null") == ""


def test_outside_of_the_ranges_names_are_real(app: Pod, internet: ClusterInternet) -> None:
    other = start(app.mesh, app.namespace, "ranges", "--includeIPRanges=10.0.0.1/24")
    real = list(internet.plan.records()["httpbin.org", "A"])
    for tcp in (False, True):
        said = other.ask(("httpbin.org", "A"), (other.full("externalbin"), "A"), tcp=tcp)
        assert [str(each) for each in addresses(said[0])] == real
        assert addresses(said[1])[0] in VIRTUAL[0]
    before = len(internet.canary())
    assert (
        json.loads(other.curl("-4 http://httpbin.org/headers"))["headers"]["Host"] == "httpbin.org"
    )
    packets = [each for each in internet.canary(before) if each["kind"] == "packet"]
    direct = [each for each in packets if each["source"] == other.address]
    assert [(each["destination"] in real, each["port"]) for each in direct] == [(True, 80)]
    # Virtual addresses are captured all the same.
    assert json.loads(other.curl("http://externalbin/headers"))["headers"]["Host"] == "httpbin.org"
    assert "220 banner.test ready" in other.run("nc -w 3 banner 7778 </dev/null")
    assert other.mesh.logged(pod="ranges", decision="allowed", protocol="tcp")


def test_while_the_egress_is_gone_nothing_resolves_and_nothing_leaves(
    app: Pod, internet: ClusterInternet
) -> None:
    secret = f"secret{time.time_ns()}"
    scale = ("scale", "-n", SYSTEM, "deployment/outgate-egress")
    app.mesh.cluster.kubectl(*scale, "--replicas=0")
    try:
        # They would serve on for a while, and are not started again.
        for program in ("^envoy.*egress~", "^/coredns -conf /etc/coredns"):
            app.mesh.cluster.node.run("pkill", "-9", "-f", program)
        eventually(lambda: app.ask((app.full("externalbin"), "A"))[0][0] != "NOERROR")
        said = app.ask((app.full("externalbin"), "A"), (f"{secret}.httpbin.org", "A"))
        assert said == [[said[0][0], []], [said[1][0], []]]
        assert not {code for code, _ in said} & {"NOERROR", "NXDOMAIN"}
        assert app.run("nc -w 3 banner 7778 </dev/null") != "220 banner.test ready"
    finally:
        app.mesh.cluster.kubectl(*scale, "--replicas=1")
    status = ("rollout", "status", "-n", SYSTEM, "deployment/outgate-egress", "--timeout=60s")
    app.mesh.cluster.kubectl(*status, seconds=70)
    eventually(lambda: app.ask((app.full("externalbin"), "A"))[0][0] == "NOERROR")
    assert "220 banner.test ready" in app.run("nc -w 3 banner 7778 </dev/null")
    assert not [each for each in internet.canary() if secret in str(each.get("name", ""))]
    assert secret not in asked_of_the_cluster(app.mesh)
