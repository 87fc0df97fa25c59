"""The Gateway API in a cluster, with its published definitions: real calls, and what users are told in each status."""

import contextlib
import json
from collections.abc import Iterator

import pytest
from tests.cluster import gateway_api
from tests.cluster.commands import ClusterError
from tests.cluster.mesh.conftest import APP, SERVICES, Mesh
from tests.cluster.mesh.waiting import eventually

pytestmark = pytest.mark.cluster

XBACKEND = """
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XBackend
metadata: {name: google}
spec:
  type: ExternalHostname
  externalHostname: {hostname: www.google.com}
  port: {port: 443}
  protocol: HTTP
  tls:
    mode: ServerOnly
    validation: {hostname: www.google.com, wellKnownCACertificates: System}
"""
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: bin}
spec:
  parentRefs: [{kind: Service, group: "", name: externalbin}]
  rules:
  - matches: [{path: {type: Exact, value: /headers}}]
    filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Routed, value: "yes"}]}}
    backendRefs: [{name: externalbin, port: 80}]
  - matches: [{path: {value: /broken}}]
    backendRefs: [{name: BACKEND, port: 80}]
"""


@pytest.fixture(scope="module")
def definitions(mesh: Mesh) -> Iterator[Mesh]:
    """The mesh, after definitions came that were not there when it began."""
    names = [f"crd/{name}.{group}" for group, found in gateway_api.KINDS.items() for name in found]
    for path in gateway_api.paths():
        mesh.cluster.kubectl("apply", "--server-side", "-f", str(path))
    mesh.cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
    yield mesh
    mesh.cluster.kubectl("delete", "--wait=false", *names)


@pytest.fixture(scope="module")
def app(definitions: Mesh) -> Iterator[str]:
    """A namespace with a captured pod, and the task's Services."""
    with definitions.cluster.namespace() as name:
        definitions.cluster.apply(SERVICES, definitions.inject(APP), namespace=name)
        definitions.cluster.wait("Ready", "pod/app", namespace=name)
        yield name


def conditions(mesh: Mesh, namespace: str, resource: str, where: str = "parents") -> dict[str, str]:
    """Return `True/Reason` by type, of our one entry, if it is about what the resource says now."""
    item = json.loads(mesh.cluster.kubectl("get", "-n", namespace, resource, "-o=json"))
    entries = item["status"][where]
    (entry,) = (each for each in entries if each["controllerName"] == "outgate.dev/egress")
    now = item["metadata"]["generation"]
    assert all(each["observedGeneration"] == now for each in entry["conditions"])
    return {each["type"]: f"{each['status']}/{each['reason']}" for each in entry["conditions"]}


def told(mesh: Mesh, namespace: str, resource: str, where: str = "parents", **wanted: str) -> None:
    """Wait until conditions are as wanted."""

    def found() -> bool:
        have = conditions(mesh, namespace, resource, where)
        assert wanted.items() <= have.items(), have
        return True

    eventually(found)


def curl(mesh: Mesh, namespace: str, url: str) -> tuple[int, str]:
    words = ("curl", "-sS", "-m", "5", "-w", "\n%{http_code}", url)
    with contextlib.suppress(ClusterError):
        body, _, code = mesh.cluster.exec("app", *words, namespace=namespace).rpartition("\n")
        return int(code), body
    return 0, ""


GOOD = {
    "Accepted": "True/Accepted",
    "ResolvedRefs": "True/ResolvedRefs",
    "Programmed": "True/Programmed",
}


def test_a_route_of_a_service(definitions: Mesh, app: str) -> None:
    definitions.cluster.apply(ROUTE.replace("BACKEND", "externalbin"), namespace=app)
    told(definitions, app, "httproute/bin", **GOOD)
    status, body = curl(definitions, app, "http://externalbin/headers")
    assert status == 200
    assert json.loads(body)["headers"]["X-Routed"] == "yes"
    assert curl(definitions, app, "http://externalbin/get")[0] == 404
    # A backend that goes takes its rule with it, and the status says so; the other rule stays.
    definitions.cluster.apply(ROUTE.replace("BACKEND", "gone"), namespace=app)
    told(definitions, app, "httproute/bin", ResolvedRefs="False/BackendNotFound")
    eventually(lambda: curl(definitions, app, "http://externalbin/broken/x")[0] == 500)
    assert curl(definitions, app, "http://externalbin/headers")[0] == 200
    definitions.cluster.kubectl("delete", "httproute", "bin", "-n", app)
    eventually(lambda: curl(definitions, app, "http://externalbin/get")[0] == 200)


def test_an_xbackend_is_called_by_its_host_name(definitions: Mesh, app: str) -> None:
    assert curl(definitions, app, "http://www.google.com/")[0] != 200
    definitions.cluster.apply(XBACKEND, namespace=app)
    told(definitions, app, "xbackend/google", **GOOD)
    eventually(lambda: curl(definitions, app, "http://www.google.com/")[0] == 200)
    # By reference, from a Service's route.
    led = ROUTE.replace(
        "{name: BACKEND, port: 80}",
        "{group: gateway.networking.x-k8s.io, kind: XBackend, name: google, port: 443}",
    )
    definitions.cluster.apply(led, namespace=app)
    told(definitions, app, "httproute/bin", **GOOD)
    definitions.cluster.kubectl("delete", "httproute/bin", "xbackend/google", "-n", app)
    eventually(lambda: curl(definitions, app, "http://www.google.com/")[0] != 200)


def test_another_namespace_must_agree(definitions: Mesh, app: str, namespace: str) -> None:
    definitions.cluster.apply(XBACKEND, namespace=namespace)
    led = ROUTE.replace(
        "{name: BACKEND, port: 80}",
        f"{{group: gateway.networking.x-k8s.io, kind: XBackend, name: google, namespace: {namespace}}}",
    )
    definitions.cluster.apply(led, namespace=app)
    told(definitions, app, "httproute/bin", ResolvedRefs="False/RefNotPermitted")
    grant = f"""
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {{name: app}}
spec:
  from: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: {app}}}]
  to: [{{group: gateway.networking.x-k8s.io, kind: XBackend}}]
"""
    definitions.cluster.apply(grant, namespace=namespace)
    told(definitions, app, "httproute/bin", **GOOD)
    definitions.cluster.kubectl("delete", "httproute/bin", "-n", app)


def test_a_tls_policy(definitions: Mesh, app: str) -> None:
    policy = """
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: tls}
spec:
  targetRefs: [{group: "", kind: Service, name: NAME}]
  validation: {hostname: www.google.com, wellKnownCACertificates: System}
"""
    definitions.cluster.apply(policy.replace("NAME", "securegoogle"), namespace=app)
    told(definitions, app, "backendtlspolicy/tls", "ancestors", **GOOD)
    assert curl(definitions, app, "http://securegoogle:443/")[0] == 200
    definitions.cluster.apply(policy.replace("NAME", "nothing"), namespace=app)
    told(definitions, app, "backendtlspolicy/tls", "ancestors", Accepted="False/TargetNotFound")
    definitions.cluster.kubectl("delete", "backendtlspolicy/tls", "-n", app)


def test_nothing_is_written_about_what_is_for_others(definitions: Mesh, app: str) -> None:
    inside = """
apiVersion: v1
kind: Service
metadata: {name: inside}
spec: {selector: {app: x}, ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: inside}
spec:
  parentRefs: [{kind: Service, group: "", name: inside}, {name: some-gateway}]
  rules: [{backendRefs: [{name: inside, port: 80}]}]
"""
    definitions.cluster.apply(inside, namespace=app)
    definitions.cluster.apply(ROUTE.replace("BACKEND", "externalbin"), namespace=app)
    told(definitions, app, "httproute/bin", **GOOD)
    found = definitions.cluster.kubectl("get", "httproute", "inside", "-n", app, "-o=json")
    assert not json.loads(found).get("status", {}).get("parents")
    events = definitions.cluster.kubectl(
        "get", "events", "-n", app, "--field-selector=involvedObject.kind=HTTPRoute", "-o=json"
    )
    names = {each["involvedObject"]["name"] for each in json.loads(events)["items"]}
    assert "inside" not in names
    assert "bin" in names


def test_our_own_kinds_have_conditions_too(definitions: Mesh, app: str) -> None:
    def external(host: str, name: str) -> str:
        return f"""
apiVersion: outgate.dev/v1alpha1
kind: ExternalService
metadata: {{name: {name}}}
spec: {{hosts: [{host}], ports: [{{port: 80, protocol: HTTP}}]}}
"""

    def found(name: str) -> dict[str, str]:
        item = json.loads(
            definitions.cluster.kubectl("get", "externalservice", name, "-n", app, "-o=json")
        )
        now = item["metadata"]["generation"]
        conditions = item["status"]["conditions"]
        assert all(each["observedGeneration"] == now for each in conditions)
        return {each["type"]: f"{each['status']}/{each['reason']}" for each in conditions}

    good = {"Accepted": "True/Accepted", "Programmed": "True/Programmed"}
    definitions.cluster.apply(external("httpbin.org", "one"), namespace=app)
    eventually(lambda: found("one") == good)
    # Its columns are made of them.
    assert "True" in definitions.cluster.kubectl("get", "externalservice", "one", "-n", app)
    definitions.cluster.apply(external("httpbin.org", "other"), namespace=app)
    eventually(lambda: found("other")["Accepted"] == "False/Invalid")
    definitions.cluster.kubectl("delete", "externalservice", "one", "-n", app)
    eventually(lambda: found("other") == good)
    definitions.cluster.kubectl("delete", "externalservice", "other", "-n", app)
