"""What commands say of a cluster, where there are several controllers."""

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.mesh.conftest import APP, SERVICES, SYSTEM, Mesh
from tests.cluster.mesh.waiting import eventually


@pytest.fixture(scope="module")
def app(two: Mesh) -> Iterator[str]:
    """A namespace with a captured pod, a pod that is not, and both Services."""
    with two.cluster.namespace() as name:
        other = APP.replace("name: app}", "name: other}")
        two.cluster.apply(SERVICES, two.inject(APP), other, namespace=name)
        two.cluster.wait("Ready", "pod/app", "pod/other", namespace=name)
        yield name


def test_status(two: Mesh, app: str) -> None:
    found = eventually(
        lambda: (s := two.status()) and all("error" not in e for e in s["controllers"]) and s
    )
    assert len([each for each in found["controllers"] if each["ready"]]) == 2
    assert [each["leads"] for each in found["controllers"]].count(True) == 1
    assert found["place"].startswith("cluster at https://")
    [egress] = found["egresses"]
    assert egress["state"] == "synced"
    [sidecar] = [each for each in found["sidecars"] if each["namespace"] == app]
    assert (sidecar["pod"], sidecar["state"]) == ("app", "synced")
    assert sidecar["envoy"].startswith("1.")
    assert sidecar["injected"]
    said = two.shell(f"outgate status -n {app}")
    assert "SIDECAR" in said
    assert "synced" in said
    assert "No captured pods." in two.shell("outgate status -n kube-system")
    assert app in two.shell("outgate status -A")


@pytest.mark.parametrize(
    ("pod", "url", "decision", "reason"),
    [
        ("app", "http://externalbin/headers", "allowed", "declared as http"),
        ("app", "http://securegoogle:443", "allowed", "declared as https"),
        ("app", "http://httpbin.org/", "denied", "no resource declares httpbin.org"),
        ("app", "http://192.0.2.1:81/", "denied", "no resource declares 192.0.2.1"),
        ("app", "https://kubernetes.default/", "direct", "service/kubernetes in namespace default"),
        ("other", "http://httpbin.org/", "not captured", "it was made without capture"),
    ],
)
def test_explain(two: Mesh, app: str, pod: str, url: str, decision: str, reason: str) -> None:
    found = json.loads(two.shell(f"outgate explain {pod} {url} -n {app} -o json"))
    assert found["decision"] == decision
    assert reason in found["reason"]
    assert decision in two.shell(f"outgate explain pod/{pod} {url} -n {app}")


def test_explain_is_right_about_calls(two: Mesh, app: str) -> None:
    call = "curl -s -o /dev/null -w '%{http_code}' -m 5"
    for url, wanted in (("http://externalbin/headers", "200"), ("http://192.0.2.1/", "403")):
        said = two.cluster.exec("app", "sh", "-c", f"{call} {url}", namespace=app, container="app")
        assert said == wanted


def test_proxy_config(two: Mesh, app: str) -> None:
    said = json.loads(two.shell(f"outgate proxy-config app -n {app} -o json"))
    found = {(each["type"], each["name"]): each for each in said["resources"]}
    assert {each["state"] for each in found.values()} == {"acknowledged"}
    assert ("Cluster", "egress") in found
    assert ("Listener", "capture") in found
    certificate = found["Secret", "workload"]["contents"]["tls_certificate"]
    assert "BEGIN CERTIFICATE" in certificate["certificate_chain"]["inline_string"]
    assert certificate["private_key"] == {"inline_string": "[redacted]"}
    assert "PRIVATE KEY" not in json.dumps(said)
    listeners = two.shell(f"outgate proxy-config app listeners -n {app}")
    assert "Listener" in listeners
    assert "Cluster" not in listeners
    assert "connect_timeout" in two.shell(f"outgate proxy-config app clusters -n {app} -o yaml")
    egress = two.status()["egresses"][0]["pod"]
    routes = two.shell(f"outgate proxy-config {egress} routes -n {SYSTEM}")
    assert f"externalbin.{app}" in routes


def test_logs(two: Mesh, app: str) -> None:
    call = "curl -s -o /dev/null -m 5 http://externalbin/status/204"
    two.cluster.exec("app", "sh", "-c", call, namespace=app, container="app")

    def lines(words: str) -> list[dict[str, Any]]:
        said = two.shell(f"outgate logs --egress {words}")
        return [json.loads(each) for each in said.splitlines()]

    found = eventually(lambda: lines(f"app -n {app} --since=60s"))
    assert {(each["pod"], each["namespace"]) for each in found} == {("app", app)}
    assert len(lines("--tail=1")) == 1
    assert lines(f"other -n {app}") == []
    command = ["bash", "-c", f"timeout 8 outgate logs --egress -f app -n {app} --tail=1"]
    environment = {"PATH": f"{two.tools}:/usr/bin:/bin", "KUBECONFIG": str(two.cluster.kubeconfig)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    time.sleep(3)
    two.cluster.exec("app", "sh", "-c", call.replace("204", "205"), namespace=app, container="app")
    said, _ = process.communicate(timeout=20)
    assert [json.loads(each)["status"] for each in said.splitlines()] == [204, 205]


def test_errors(two: Mesh, app: str) -> None:
    for command, wanted in (
        (f"outgate explain none http://x -n {app}", 'pods "none" not found in namespace'),
        (f"outgate proxy-config other -n {app}", "has no proxy: it was made without capture"),
        (f"outgate logs app -n {app}", "kubectl logs app"),
        ("outgate status --context=none", "none"),
        ("KUBECONFIG=/nowhere HOME=/nowhere outgate status", "no cluster to connect to"),
        ("KUBECONFIG= HOME=/nowhere outgate status", "the local mesh is not up"),
    ):
        said = two.shell(command, check=False)
        assert wanted in said
        assert "Traceback" not in said
        assert len(said.strip().splitlines()) == 1


def test_rights_that_users_need(two: Mesh, app: str, namespace: str) -> None:
    """Those that docs/kubernetes.md names are enough, and without one it is said which is missing."""
    own = {"kind": "ServiceAccount", "name": "user", "namespace": namespace}
    kubectl = two.cluster.kubectl
    kubectl("create", "serviceaccount", "user", "-n", namespace)
    kubectl("create", "role", "user", "-n", app, "--verb=get,list", "--resource=pods,services")
    kubectl("create", "role", "user", "-n", SYSTEM, "--verb=get,list", "--resource=pods")
    account = f"--serviceaccount={own['namespace']}:{own['name']}"
    for place in (app, SYSTEM):
        kubectl("create", "rolebinding", "user", "-n", place, "--role=user", account)
    config = two.tools / "user.yaml"
    text = kubectl("config", "view", "--raw", "--minify", "--flatten", "-o=json")
    view = json.loads(text)
    view["users"][0]["user"] = {"token": kubectl("create", "token", "user", "-n", namespace)}
    config.write_text(json.dumps(view))
    flags = f"-n {app} --kubeconfig={config}"
    try:
        said = two.shell(f"outgate explain app http://externalbin {flags}", check=False)
        assert "pods/exec in namespace outgate-system" in said
        said = two.shell(f"outgate status --kubeconfig={config}", check=False)
        assert "you may not list the pods of all namespaces" in said
        patch = [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
            {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]},
            {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        ]
        body = json.dumps({"rules": patch})
        kubectl("patch", "role", "user", "-n", SYSTEM, "--type=merge", "-p", body)
        assert "allowed" in two.shell(f"outgate explain app http://externalbin {flags}")
        assert "synced" in two.shell(f"outgate status {flags}")
        assert "acknowledged" in two.shell(f"outgate proxy-config app {flags}")
        two.shell(f"outgate logs --egress app {flags}")
    finally:
        for place in (app, SYSTEM):
            kubectl("delete", "role,rolebinding", "user", "-n", place)
