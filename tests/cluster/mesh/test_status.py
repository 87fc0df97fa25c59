"""What users are told: Events on their Services, by one of several replicas, and what commands say of the cluster."""

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.cluster.commands import ClusterError
from tests.cluster.mesh.conftest import APP, SERVICES, SYSTEM, Mesh

LEASE = "outgate-controller-leader"
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: NAME}
spec: {type: ExternalName, externalName: HOST, ports: [{port: 80, name: http}]}
"""


def service(name: str, host: str = "httpbin.org") -> str:
    return SERVICE.replace("NAME", name).replace("HOST", host)


def eventually(found: Callable[[], Any], seconds: float = 30) -> Any:
    """Return what is found once it is there."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(ClusterError, AssertionError, IndexError, KeyError):
            if value := found():
                return value
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.3)


def events(mesh: Mesh, namespace: str, name: str) -> list[tuple[str, str]]:
    """Return reasons and notes of the Events on a Service, as they came."""
    selector = f"--field-selector=involvedObject.kind=Service,involvedObject.name={name}"
    said = mesh.cluster.kubectl("get", "events", "-n", namespace, selector, "-o=json")
    items = json.loads(said)["items"]
    items.sort(key=lambda each: int(each["metadata"]["resourceVersion"]))
    assert all(each["reportingComponent"] == "outgate.dev/controller" for each in items)
    return [(each["reason"], each["message"]) for each in items]


def reasons(mesh: Mesh, namespace: str, name: str) -> list[str]:
    return [reason for reason, _ in events(mesh, namespace, name)]


def status(mesh: Mesh) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(mesh.shell("outgate status -o json"))
    return found


def rollout(mesh: Mesh) -> None:
    words = ("rollout", "status", "-n", SYSTEM, "deployment/outgate-controller", "--timeout=60s")
    mesh.cluster.kubectl(*words)


def leader(mesh: Mesh) -> str:
    path = "-o=jsonpath={.spec.holderIdentity}"
    return mesh.cluster.kubectl("get", "lease", "-n", SYSTEM, LEASE, path)


def controllers(mesh: Mesh) -> list[str]:
    label = "app.kubernetes.io/name=outgate-controller"
    said = mesh.cluster.kubectl("get", "pods", "-n", SYSTEM, "-l", label, "-o=name")
    return [each.removeprefix("pod/") for each in said.split()]


@pytest.fixture(scope="module")
def two(mesh: Mesh) -> Iterator[Mesh]:
    """The mesh with two controllers."""
    scale = ("scale", "-n", SYSTEM, "deployment/outgate-controller")
    mesh.cluster.kubectl(*scale, "--replicas=2")
    rollout(mesh)
    eventually(lambda: leader(mesh) in controllers(mesh))
    yield mesh
    mesh.cluster.kubectl(*scale, "--replicas=1")


@pytest.fixture(scope="module")
def app(two: Mesh) -> Iterator[str]:
    """A namespace with a captured pod, a pod that is not, and both Services."""
    with two.cluster.namespace() as name:
        other = APP.replace("name: app}", "name: other}")
        two.cluster.apply(SERVICES, two.inject(APP), other, namespace=name)
        two.cluster.wait("Ready", "pod/app", "pod/other", namespace=name)
        yield name


def test_a_service_is_accepted_and_programmed(two: Mesh, namespace: str) -> None:
    two.cluster.apply(service("good"), namespace=namespace)
    wanted = ["Accepted", "Programmed"]
    assert (
        eventually(
            lambda: reasons(two, namespace, "good")[1:] and reasons(two, namespace, "good"), 10
        )
        == wanted
    )
    notes = dict(events(two, namespace, "good"))
    assert notes["Accepted"] == f"calls to good.{namespace} go to httpbin.org: port 80 (http)"
    # As users look at it.
    said = two.cluster.kubectl("describe", "service", "good", "-n", namespace)
    assert "Accepted" in said
    assert "Programmed" in said
    assert "outgate.dev/controller" in said
    # What changes nothing is nothing to speak of; what does is.
    two.cluster.kubectl("label", "service", "good", "-n", namespace, "a=b")
    two.cluster.apply(service("good", "www.google.com"), namespace=namespace)
    again = eventually(
        lambda: reasons(two, namespace, "good")[3:] and reasons(two, namespace, "good"), 10
    )
    assert again == wanted * 2


def test_one_that_is_wrong_is_rejected_with_each_field(two: Mesh, namespace: str) -> None:
    two.cluster.apply(service("bad", "192.0.2.1"), namespace=namespace)
    [(reason, note)] = eventually(lambda: events(two, namespace, "bad"), 10)
    assert reason == "Rejected"
    assert note.startswith("spec.externalName: ")
    said = two.cluster.kubectl("describe", "service", "bad", "-n", namespace)
    assert "Warning" in said
    assert note in said
    assert f"services/{namespace}/bad" in "".join(status(two)["problems"])


def test_the_leader_says_what_another_replicas_egress_acknowledged(
    two: Mesh, namespace: str
) -> None:
    serving = eventually(lambda: status(two)["egresses"][0]["controller"])
    others = [each for each in controllers(two) if each != serving]
    patch = json.dumps({"spec": {"holderIdentity": others[0]}})
    two.cluster.kubectl("patch", "lease", "-n", SYSTEM, LEASE, "--type=merge", "-p", patch)
    eventually(
        lambda: [e for e in status(two)["controllers"] if e["pod"] == others[0] and e["leads"]]
    )
    two.cluster.apply(service("far"), namespace=namespace)
    eventually(lambda: reasons(two, namespace, "far") == ["Accepted", "Programmed"], 10)
    assert status(two)["egresses"][0]["controller"] == serving
    assert leader(two) == others[0]


def test_a_leader_that_is_killed_is_followed_by_one_that_repeats_nothing(
    two: Mesh, namespace: str
) -> None:
    two.cluster.apply(service("before"), service("wrong", "192.0.2.1"), namespace=namespace)
    eventually(lambda: reasons(two, namespace, "before")[1:])
    first = leader(two)
    now = ("--grace-period=0", "--force", "--wait=false")
    two.cluster.kubectl("delete", "pod", "-n", SYSTEM, first, *now)
    two.cluster.apply(service("after"), namespace=namespace)
    eventually(lambda: leader(two) not in ("", first), 30)
    eventually(lambda: reasons(two, namespace, "after") == ["Accepted", "Programmed"], 20)
    rollout(two)
    assert reasons(two, namespace, "before") == ["Accepted", "Programmed"]
    assert reasons(two, namespace, "wrong") == ["Rejected"]
    # One that ends by itself lets another begin at once.
    second = leader(two)
    began = time.monotonic()
    two.cluster.kubectl("delete", "pod", "-n", SYSTEM, second, "--wait=false")
    eventually(lambda: leader(two) not in ("", second), 14)
    assert time.monotonic() - began < 12
    rollout(two)


def test_what_envoy_refuses_is_said_with_its_words(two: Mesh, namespace: str) -> None:
    deployment = json.loads(
        two.cluster.kubectl("get", "deployment", "-n", SYSTEM, "outgate-controller", "-o=json")
    )
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]

    def restart(wanted: list[str]) -> None:
        path = "/spec/template/spec/containers/0/args"
        patch = json.dumps([{"op": "replace", "path": path, "value": wanted}])
        words = ("patch", "deployment", "-n", SYSTEM, "outgate-controller", "--type=json", "-p")
        two.cluster.kubectl(*words, patch)
        rollout(two)

    kept = [each for each in arguments if not each.startswith("--ca-file")]
    two.cluster.apply(SERVICES, namespace=namespace)
    eventually(lambda: reasons(two, namespace, "securegoogle")[1:])
    try:
        restart([*kept, "--ca-file=/nowhere/ca.pem"])
        refused = eventually(lambda: events(two, namespace, "securegoogle")[2:], 60)
        assert refused[0][0] == "Rejected"
        assert refused[0][1].startswith("Envoy refused it: ")
        assert "/nowhere/ca.pem" in refused[0][1]
        egress = eventually(lambda: [e for e in status(two)["egresses"] if e["refused"]])[0]
        assert "/nowhere/ca.pem" in egress["last_nack"]["message"]
        shown = two.shell(f"outgate proxy-config {egress['pod']} clusters -n {SYSTEM}")
        [line] = [e for e in shown.splitlines() if f"securegoogle.{namespace}" in e]
        assert "refused: " in line
        assert "refuses" in two.shell("outgate status")
    finally:
        restart(arguments)
    eventually(lambda: reasons(two, namespace, "securegoogle")[3:] == ["Programmed"], 60)
    assert reasons(two, namespace, "externalbin") == ["Accepted", "Programmed"]


def test_status(two: Mesh, app: str) -> None:
    found = eventually(
        lambda: (s := status(two)) and all("error" not in e for e in s["controllers"]) and s
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
    egress = status(two)["egresses"][0]["pod"]
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


def test_many_services_cost_a_bounded_number_of_calls(two: Mesh, namespace: str) -> None:
    before = {each["pod"]: each["events_written"] for each in status(two)["controllers"]}
    two.cluster.apply(*(service(f"s{number}") for number in range(300)), namespace=namespace)
    count = ("get", "events", "-n", namespace, "-o=jsonpath={.items[*].reason}")

    def said() -> list[str]:
        return two.cluster.kubectl(*count).split()

    eventually(lambda: len(said()) >= 600, 60)
    found = said()
    assert (found.count("Accepted"), found.count("Programmed"), len(found)) == (300, 300, 600)
    written = [each["events_written"] - before[each["pod"]] for each in status(two)["controllers"]]
    assert sum(written) == 600
