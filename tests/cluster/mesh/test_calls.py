"""What a captured pod can call, and what it cannot: outside, inside, and around its sidecar."""

import json
from collections.abc import Iterator

import pytest
from tests.cluster.internet import ClusterInternet
from tests.cluster.mesh.conftest import SERVICES, Mesh

APP = """
apiVersion: v1
kind: Pod
metadata: {name: app, labels: {app: app}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: app
    image: curlimages/curl
    imagePullPolicy: IfNotPresent
    command: [sleep, infinity]
"""
WEB = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: web
    image: localhost/net:1
    imagePullPolicy: Never
    command:
    - sh
    - -c
    - |
      mkdir /tmp/w
      echo hello > /tmp/w/index.html
      (while :; do echo first | nc -l -p 9; done) &
      httpd -f -p 8080 -h /tmp/w
    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: first, port: 9}]
"""


class Caller:
    def __init__(self, mesh: Mesh, namespace: str) -> None:
        self.mesh, self.namespace = mesh, namespace

    def run(self, script: str) -> str:
        """Run a script in the captured pod; what fails shows in what it prints."""
        return self.mesh.cluster.exec(
            "app",
            "sh",
            "-c",
            f"{{ {script}; }} 2>&1 || true",
            namespace=self.namespace,
            container="app",
        )

    def curl(self, *words: str) -> str:
        return self.run(f"curl -sS --max-time 5 {' '.join(words)}")


@pytest.fixture(scope="module")
def app(mesh: Mesh) -> Iterator[Caller]:
    with mesh.cluster.namespace() as name:
        mesh.cluster.apply(SERVICES, WEB, mesh.inject(APP), namespace=name)
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


def test_services_are_their_namespaces_own(app: Caller) -> None:
    with app.mesh.cluster.namespace() as other:
        service = SERVICES.split("---")[0].replace("httpbin.org", "two.test")
        app.mesh.cluster.apply(service, namespace=other)
        url = f"http://externalbin.{other}/headers"
        answer = app.curl("--retry 20 --retry-delay 1 --retry-all-errors -f", url)
        assert json.loads(answer)["headers"]["Host"] == "two.test"
        assert (
            json.loads(app.curl("http://externalbin/headers"))["headers"]["Host"] == "httpbin.org"
        )
