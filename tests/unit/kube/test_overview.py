import json
from typing import Any

import pytest

from outgate.errors import NotFoundError, UnavailableError
from outgate.inject import pod as pods
from outgate.inject.options import Options
from outgate.kube import views
from outgate.kube.overview import overview
from outgate.kube.views import Replica
from outgate.serve.publishing import Follower, Nack, Publisher
from outgate.serve.subscription import Request
from outgate.xds import secrets
from outgate.xds.building import CLUSTER, LISTENER, any_cluster

GOOD, BAD, LAZY = "good", "bad", "lazy"


def cluster(name: str, *, on_demand: bool = False) -> Any:
    from dataclasses import replace

    return replace(any_cluster({"name": name, "connect_timeout": "1s"}), on_demand=on_demand)


def connected(node: str) -> tuple[Follower, Publisher]:
    """Return a proxy that took what it was told, but for `bad`; it was not told of `late` yet."""
    publisher, follower = Publisher(), Follower(node, envoy="1.40.0", connected_at=100)
    publisher.followers.add(follower)
    lazy = cluster(LAZY, on_demand=True)
    secret = secrets.certificate("workload", b"CHAIN", b"-----BEGIN PRIVATE KEY-----")
    publisher.publish((cluster(GOOD), cluster(BAD), lazy, secret))
    stream = follower.stream
    for type_url in (CLUSTER, LISTENER):
        stream.receive(type_url, Request(), publisher.snapshot)
    stream.receive(secret.type_url, Request(("workload",)), publisher.snapshot)
    while found := stream.next(publisher.snapshot, publisher.revision):
        type_url, response = found
        error = "bad: no" if BAD in {each.name for each in response.resources} else ""
        follower.nack = Nack(type_url, error, 110) if error else follower.nack
        stream.receive(type_url, Request(nonce=response.nonce, error=error), publisher.snapshot)
    return follower, publisher


def answer(pod: str, *proxies: tuple[Follower, Publisher], leads: bool = True) -> dict[str, Any]:
    replica = Replica(
        pod, "1", ready=True, leads=leads, leader=pod, services=2, problems=("p",), events_written=0
    )
    return json.loads(json.dumps(views.status(replica, proxies, now=120)))  # type: ignore[no-any-return]


def item(name: str, namespace: str = "default", **fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, **fields}


def captured(name: str, phase: str = "Running") -> dict[str, Any]:
    plain = item(name, spec={"containers": [{"name": "a"}]}, status={"phase": phase})
    return pods.inject(plain, Options())


def test_proxies_are_found_by_their_pods() -> None:
    side = connected("sidecar~app.default")
    egress = connected("egress~e.outgate-system")
    found = overview(
        [(item("c1"), answer("c1", side)), (item("c2"), answer("c2", egress, leads=False))],
        [item("e", "outgate-system"), item("new", "outgate-system")],
        [captured("app"), captured("lost"), captured("over", "Succeeded"), item("free", spec={})],
    )
    assert [(each["pod"], each["leads"], each["problems"]) for each in found["controllers"]] == [
        ("c1", True, 1),
        ("c2", False, 1),
    ]
    app, lost = found["sidecars"]
    assert (app["pod"], app["controller"], app["state"], app["envoy"]) == (
        "app",
        "c1",
        "refuses 1",
        "1.40.0",
    )
    assert app["last_nack"] == {"type": "Cluster", "message": "bad: no", "seconds_ago": 10}
    assert (lost["pod"], lost["state"], lost["injected"]) == (
        "lost",
        "not connected",
        Options().version,
    )
    assert [each["state"] for each in found["egresses"]] == ["refuses 1", "not connected"]
    assert found["problems"] == ["p"]


def test_a_controller_that_does_not_answer_is_shown_as_that() -> None:
    error = UnavailableError("controller c1 does not run")
    found = overview([(item("c1"), error), (item("c2"), answer("c2"))], [], [])
    assert found["controllers"][0] == {"pod": "c1", "error": "controller c1 does not run"}
    assert found["controllers"][1]["pod"] == "c2"
    assert overview([(item("c1"), error)], [], [])["problems"] == []


def test_a_proxy_that_moves_is_where_it_went_last() -> None:
    old, new = connected("sidecar~app.default"), connected("sidecar~app.default")
    new[0].connected_at = 119
    for order in ((old, new), (new, old)):
        answers = [(item(f"c{i}"), answer(f"c{i}", each)) for i, each in enumerate(order)]
        found = overview(answers, [], [captured("app")])["sidecars"][0]
        assert found["controller"] == f"c{order.index(new)}"


def test_resources_with_their_state_and_without_keys() -> None:
    follower, publisher = connected("sidecar~app.default")
    publisher.publish((cluster("late"),))
    found = views.resources([(follower, publisher)], "sidecar~app.default", contents=True)
    states = {each["name"]: (each["state"], each["message"]) for each in found["resources"]}
    assert states == {
        "bad": ("refused", "bad: no"),
        "good": ("acknowledged", ""),
        "late": ("pending", ""),
        "lazy": ("unasked", ""),
        "workload": ("acknowledged", ""),
    }
    text = json.dumps(found)
    assert "CHAIN" in text
    assert "PRIVATE" not in text
    assert '"connect_timeout": "1s"' in text
    short = views.resources([(follower, publisher)], "sidecar~app.default", contents=False)
    assert "contents" not in short["resources"][0]


def test_a_proxy_that_is_not_here() -> None:
    with pytest.raises(NotFoundError, match="is not connected to this controller"):
        views.resources([connected("sidecar~a.b")], "sidecar~other.b", contents=False)
