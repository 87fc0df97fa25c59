"""Istio's resources in a cluster that has Istio's definitions, and no Istio: real calls, and what users are told."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.cluster import istio_api
from tests.cluster.commands import ClusterError
from tests.cluster.mesh.conftest import APP, PROJECT, Mesh
from tests.cluster.mesh.waiting import eventually

pytestmark = pytest.mark.cluster

ORIGINATION = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: google}
spec:
  hosts: [www.google.com]
  exportTo: ["."]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: google}
spec:
  host: www.google.com
  trafficPolicy:
    portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]
"""
ROUTES = """
apiVersion: networking.istio.io/v1alpha3
kind: ServiceEntry
metadata: {name: bin}
spec:
  hosts: [httpbin.org]
  exportTo: ["."]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bin}
spec:
  hosts: [httpbin.org]
  http:
  - match: [{uri: {prefix: /head}}]
    headers: {request: {set: {x-routed: "yes"}}}
    route: [{destination: {host: httpbin.org}}]
  - match: [{uri: {prefix: /delay}}]
    timeout: 0.5s
    route: [{destination: {host: httpbin.org}}]
"""
OPEN = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: open}
spec: {outboundTrafficPolicy: {mode: ALLOW_ANY}}
"""


@pytest.fixture(scope="module")
def definitions(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """The mesh, after definitions came that were not there when it began."""
    names = [f"crd/{each['metadata']['name']}" for each in istio_api.definitions()]
    file = tmp_path_factory.mktemp("istio") / "definitions.yaml"
    file.write_text(yaml.safe_dump_all(istio_api.definitions()))
    mesh.cluster.kubectl("apply", "--server-side", "-f", str(file))
    mesh.cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
    yield mesh
    mesh.cluster.kubectl("delete", "--wait=false", *names)


@pytest.fixture(scope="module")
def app(definitions: Mesh) -> Iterator[str]:
    """A namespace with a captured pod."""
    with definitions.cluster.namespace() as name:
        definitions.cluster.apply(definitions.inject(APP), namespace=name)
        definitions.cluster.wait("Ready", "pod/app", namespace=name)
        yield name


def curl(mesh: Mesh, namespace: str, url: str) -> tuple[int, str]:
    words = ("curl", "-sS", "-m", "5", "-w", "\n%{http_code}", url)
    with contextlib.suppress(ClusterError):
        body, _, code = mesh.cluster.exec("app", *words, namespace=namespace).rpartition("\n")
        return int(code), body
    return 0, ""


def test_the_fields_are_those_that_are_published() -> None:
    listed = Path(PROJECT, "tests/unit/resources/istio/published.txt").read_text().splitlines()
    assert sorted(listed[1:]) == sorted(istio_api.fields())


def test_tls_is_opened(definitions: Mesh, app: str) -> None:
    assert curl(definitions, app, "http://www.google.com/")[0] != 200
    definitions.cluster.apply(ORIGINATION, namespace=app)
    eventually(lambda: curl(definitions, app, "http://www.google.com/")[0] == 200)
    definitions.cluster.kubectl("delete", "serviceentry/google", "-n", app)
    eventually(lambda: curl(definitions, app, "http://www.google.com/")[0] != 200)


def test_routes_of_every_version(definitions: Mesh, app: str) -> None:
    definitions.cluster.apply(ROUTES, namespace=app)
    eventually(lambda: curl(definitions, app, "http://httpbin.org/headers")[0] == 200)
    _, body = curl(definitions, app, "http://httpbin.org/headers")
    assert json.loads(body)["headers"]["X-Routed"] == "yes"
    assert curl(definitions, app, "http://httpbin.org/delay/2")[0] == 504
    assert curl(definitions, app, "http://httpbin.org/get")[0] == 404


def test_what_is_refused_is_told(definitions: Mesh, app: str) -> None:
    definitions.cluster.apply(OPEN, namespace=app)

    def told() -> bool:
        said = definitions.cluster.kubectl(
            "get", "events", "-n", app, "--field-selector=involvedObject.kind=Sidecar", "-o=json"
        )
        return any("is denied, always" in each["message"] for each in json.loads(said)["items"])

    eventually(told)
    assert curl(definitions, app, "http://www.google.com/")[0] != 200
