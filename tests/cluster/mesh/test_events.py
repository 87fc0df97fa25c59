"""What users are told by Events on their Services: by one of several replicas, and each thing once."""

import json
import time
from typing import Any

from tests.cluster.mesh.conftest import LEASE, SERVICES, SYSTEM, Mesh
from tests.cluster.mesh.waiting import eventually

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: NAME}
spec: {type: ExternalName, externalName: HOST, ports: [{port: 80, name: http}]}
"""


def service(name: str, host: str = "httpbin.org") -> str:
    return SERVICE.replace("NAME", name).replace("HOST", host)


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
    assert f"services/{namespace}/bad" in "".join(two.status()["problems"])


def test_the_leader_says_what_another_replicas_egress_acknowledged(
    two: Mesh, namespace: str
) -> None:
    serving = eventually(lambda: two.status()["egresses"][0]["controller"])
    others = [each for each in two.controllers() if each != serving]
    patch = json.dumps({"spec": {"holderIdentity": others[0]}})
    two.cluster.kubectl("patch", "lease", "-n", SYSTEM, LEASE, "--type=merge", "-p", patch)
    eventually(
        lambda: [e for e in two.status()["controllers"] if e["pod"] == others[0] and e["leads"]]
    )
    two.cluster.apply(service("far"), namespace=namespace)
    eventually(lambda: reasons(two, namespace, "far") == ["Accepted", "Programmed"], 10)
    assert two.status()["egresses"][0]["controller"] == serving
    assert two.leader() == others[0]


def test_a_leader_that_is_killed_is_followed_by_one_that_repeats_nothing(
    two: Mesh, namespace: str
) -> None:
    two.cluster.apply(service("before"), service("wrong", "192.0.2.1"), namespace=namespace)
    eventually(lambda: reasons(two, namespace, "before")[1:])
    first = two.leader()
    now = ("--grace-period=0", "--force", "--wait=false")
    two.cluster.kubectl("delete", "pod", "-n", SYSTEM, first, *now)
    two.cluster.apply(service("after"), namespace=namespace)
    eventually(lambda: two.leader() not in ("", first), 30)
    eventually(lambda: reasons(two, namespace, "after") == ["Accepted", "Programmed"], 20)
    two.rollout()
    assert reasons(two, namespace, "before") == ["Accepted", "Programmed"]
    assert reasons(two, namespace, "wrong") == ["Rejected"]
    # One that ends by itself lets another begin at once.
    second = two.leader()
    began = time.monotonic()
    two.cluster.kubectl("delete", "pod", "-n", SYSTEM, second, "--wait=false")
    eventually(lambda: two.leader() not in ("", second), 14)
    assert time.monotonic() - began < 12
    two.rollout()


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
        two.rollout()

    kept = [each for each in arguments if not each.startswith("--ca-file")]
    two.cluster.apply(SERVICES, namespace=namespace)
    eventually(lambda: reasons(two, namespace, "securegoogle")[1:])
    try:
        restart([*kept, "--ca-file=/nowhere/ca.pem"])
        refused = eventually(lambda: events(two, namespace, "securegoogle")[2:], 60)
        assert refused[0][0] == "Rejected"
        assert refused[0][1].startswith("Envoy refused it: ")
        assert "/nowhere/ca.pem" in refused[0][1]
        egress = eventually(lambda: [e for e in two.status()["egresses"] if e["refused"]])[0]
        assert "/nowhere/ca.pem" in egress["last_nack"]["message"]
        shown = two.shell(f"outgate proxy-config {egress['pod']} clusters -n {SYSTEM}")
        [line] = [e for e in shown.splitlines() if f"securegoogle.{namespace}" in e]
        assert "refused: " in line
        assert "refuses" in two.shell("outgate status")
    finally:
        restart(arguments)
    eventually(lambda: reasons(two, namespace, "securegoogle")[3:] == ["Programmed"], 60)
    assert reasons(two, namespace, "externalbin") == ["Accepted", "Programmed"]


def events_written(mesh: Mesh) -> dict[str, int]:
    """Return how many Events each controller has written, once those answer no longer that are ending."""
    found = eventually(lambda: _all_answering(mesh), 60)
    return {each["pod"]: each["events_written"] for each in found}


def _all_answering(mesh: Mesh) -> list[dict[str, Any]]:
    found = mesh.status()["controllers"]
    return [] if any("error" in each for each in found) else found


def test_many_services_cost_a_bounded_number_of_calls(two: Mesh, namespace: str) -> None:
    before = events_written(two)
    two.cluster.apply(*(service(f"s{number}") for number in range(300)), namespace=namespace)
    count = ("get", "events", "-n", namespace, "-o=jsonpath={.items[*].reason}")

    def said() -> list[str]:
        return two.cluster.kubectl(*count).split()

    eventually(lambda: len(said()) >= 600, 60)
    found = said()
    assert (found.count("Accepted"), found.count("Programmed"), len(found)) == (300, 300, 600)
    after = events_written(two)
    assert sum(after[each] - before[each] for each in after) == 600
