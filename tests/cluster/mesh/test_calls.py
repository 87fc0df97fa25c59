"""What a captured pod can call, and what it cannot: outside, inside, and around its sidecar.

Its DNS is left alone, so that names outside have their real addresses; test_names.py has one whose is not.
"""

import json
from collections.abc import Iterator

import pytest
from tests.cluster.internet import ClusterInternet
from tests.cluster.mesh.calling import APP, WEB, Caller
from tests.cluster.mesh.conftest import SERVICES, Mesh


@pytest.fixture(scope="module")
def other(mesh: Mesh) -> Iterator[Caller]:
    """A captured pod in another namespace, whose Services have the same names and lead elsewhere; it only starts."""
    with mesh.cluster.namespace() as name:
        services = SERVICES.replace("httpbin.org", "two.test")
        mesh.cluster.apply(services, mesh.inject(APP), namespace=name)
        yield Caller(mesh, name)


@pytest.fixture(scope="module")
def app(mesh: Mesh, other: Caller) -> Iterator[Caller]:
    assert other.namespace
    with mesh.cluster.namespace() as name:
        mesh.cluster.apply(SERVICES, WEB, mesh.inject(APP, "--dnsCapture=false"), namespace=name)
        mesh.cluster.wait("Ready", "pod/app", "pod/web", namespace=name)
        made = Caller(mesh, name)
        made.curl("--retry 20 --retry-delay 1 --retry-all-errors -f http://externalbin/headers")
        yield made


def test_http_and_https_are_opened_by_the_egress(app: Caller) -> None:
    answer = json.loads(app.curl("http://externalbin/headers"))
    assert answer["headers"]["Host"] == "httpbin.org"
    assert "google" in app.curl("http://securegoogle:443").lower()


@pytest.mark.parametrize("form", ["", ".{}", ".{}.svc", ".{}.svc.cluster.local"])
def test_every_form_of_the_name(app: Caller, form: str) -> None:
    url = f"http://externalbin{form.format(app.namespace)}/headers"
    assert json.loads(app.curl(url))["headers"]["Host"] == "httpbin.org"


def test_what_is_not_declared_is_denied_with_a_reason(app: Caller) -> None:
    said = app.curl("-i http://httpbin.org/headers")
    assert said.startswith("HTTP/1.1 403")
    for part in (f"{app.namespace}/sa/default", "httpbin.org", "app"):
        assert part in said
    (line,) = app.mesh.logged(namespace=app.namespace, decision="denied")
    assert (line["pod"], line["destination"]) == ("app", "httpbin.org")
    assert line["identity"] == f"spiffe://cluster.local/ns/{app.namespace}/sa/default"
    assert line["reason"]


def test_a_client_that_is_slow_with_its_first_bytes_is_served(app: Caller) -> None:
    request = "GET /headers HTTP/1.0\\r\\nHost: externalbin\\r\\n\\r\\n"
    said = app.run(f"(sleep 0.4; printf '{request}'; sleep 1) | nc -w 5 externalbin 80")
    assert said.startswith("HTTP/1.")
    assert " 200 " in said.splitlines()[0]


@pytest.mark.parametrize(
    "url", ["https://www.google.com/", "http://httpbin.org:8080/", "telnet://tcp.test:7777"]
)
def test_other_calls_are_closed(app: Caller, url: str) -> None:
    said = app.curl("-o /dev/null -w '%{http_code}'", url)
    assert "200" not in said
    assert "timed out" not in said


def test_no_datagram_leaves(app: Caller, internet: ClusterInternet) -> None:
    canary = internet.plan.records()["canary.test", "A"][0]
    before = len(internet.canary())
    said = app.curl(f"--connect-timeout 2 tftp://{canary}:9999/x; nslookup x.test {canary}")
    # It is refused, and not waited for.
    assert "timed out" not in said.split("nslookup")[0]
    path = ("get", "pod", "app", "-n", app.namespace, "-o=jsonpath={.status.podIPs[*].ip}")
    own = set(app.mesh.cluster.kubectl(*path).split())
    assert [each for each in internet.canary(before) if each.get("source") in own] == []


def test_inside_calls_go_straight(app: Caller) -> None:
    assert app.curl("http://web/").strip() == "hello"
    address = app.mesh.cluster.kubectl(
        "get", "pod", "web", "-n", app.namespace, "-o=jsonpath={.status.podIP}"
    )
    assert app.curl(f"http://{address}:8080/").strip() == "hello"
    # The server speaks first.
    assert "first" in app.run("nc -w 2 web 9 </dev/null")
    assert "Name:" in app.run("nslookup kubernetes.default.svc.cluster.local")


def host(caller: Caller, name: str) -> str:
    """Return for which host a service's answer is."""
    patient = "--retry 20 --retry-delay 1 --retry-all-errors -f"
    answer = json.loads(caller.curl(f"{patient} http://{name}/headers"))
    return str(answer["headers"]["Host"])


def test_services_are_their_namespaces_own(app: Caller, other: Caller) -> None:
    other.mesh.cluster.wait("Ready", "pod/app", namespace=other.namespace)
    assert host(app, "externalbin") == "httpbin.org"
    assert host(other, "externalbin") == "two.test"
    assert host(app, f"externalbin.{other.namespace}") == "two.test"
    assert host(other, f"externalbin.{app.namespace}") == "httpbin.org"


@pytest.fixture
def ipv6(internet: ClusterInternet) -> None:
    if not internet.plan.ipv6:
        pytest.skip("this machine has no IPv6")


@pytest.mark.usefixtures("ipv6")
def test_ipv6_inside_goes_straight(app: Caller) -> None:
    get = ("get", "-n", app.namespace)
    service = app.mesh.cluster.kubectl(*get, "service", "web", "-o=jsonpath={.spec.clusterIPs[1]}")
    pod = app.mesh.cluster.kubectl(*get, "pod", "web", "-o=jsonpath={.status.podIPs[1].ip}")
    assert ":" in service
    assert app.curl(f"'http://[{service}]/'").strip() == "hello"
    assert app.curl(f"'http://[{pod}]:8080/'").strip() == "hello"


@pytest.mark.usefixtures("ipv6")
def test_ipv6_to_the_outside_is_captured(app: Caller, internet: ClusterInternet) -> None:
    answer = json.loads(app.curl("-6 http://externalbin/headers"))
    assert answer["headers"]["Host"] == "httpbin.org"
    (address,) = internet.plan.records()["httpbin.org", "AAAA"]
    said = app.curl(f"-i -H 'Host: httpbin.org' 'http://[{address}]/headers'")
    assert said.startswith("HTTP/1.1 403")
    (canary,) = internet.plan.records()["canary.test", "AAAA"]
    before = len(internet.canary())
    for url in (f"http://[{canary}]:9999/", f"tftp://[{canary}]:9999/x"):
        assert "timed out" not in app.curl(f"--connect-timeout 2 '{url}'")
    path = ("get", "pod", "app", "-n", app.namespace, "-o=jsonpath={.status.podIPs[*].ip}")
    own = set(app.mesh.cluster.kubectl(*path).split())
    assert [each for each in internet.canary(before) if each.get("source") in own] == []
