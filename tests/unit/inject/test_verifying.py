"""A pod that says that it has capture: what it may differ in from an injected one, and what not."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from outgate.inject import pod, verifying
from outgate.inject.options import Options, Sidecar

TEMPLATE: dict[str, Any] = {
    "metadata": {"name": "hello"},
    "spec": {
        "initContainers": [{"name": "own"}],
        "containers": [{"name": "hello"}],
        "volumes": [{"name": "data", "emptyDir": {}}],
    },
}
ACCOUNT = {
    "name": "kube-api-access-x",
    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
}


def injected(mode: Sidecar = Sidecar.NATIVE) -> dict[str, Any]:
    return pod.inject(TEMPLATE, Options(sidecar=mode))


def init(template: dict[str, Any]) -> dict[str, Any]:
    (found,) = (each for each in template["spec"]["initContainers"] if each["name"] == pod.INIT)
    container: dict[str, Any] = found
    return container


@pytest.mark.parametrize("mode", list(Sidecar))
def test_what_was_injected_is_left_as_it_is(mode: Sidecar) -> None:
    template = injected(mode)
    assert verifying.difference(template, Options()) is None
    assert verifying.settled(template, Options()) == template


def test_what_the_api_server_adds_is_no_difference() -> None:
    template = injected()
    for each in (*template["spec"]["initContainers"], *template["spec"]["containers"]):
        each["terminationMessagePath"] = "/dev/termination-log"
        each.setdefault("volumeMounts", []).append(ACCOUNT)
    for each in template["spec"]["volumes"]:
        for kind in ("configMap", "projected"):
            if kind in each:
                each[kind] = each[kind] | {"defaultMode": 420}
    template["spec"]["volumes"].append({"name": "kube-api-access-x", "projected": {}})
    template["spec"]["initContainers"][1]["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] = "v1"
    before = copy.deepcopy(template)
    assert verifying.difference(template, Options()) is None
    assert verifying.settled(template, Options()) == before == template


def change_image(template: dict[str, Any]) -> None:
    init(template)["image"] = "example.com/nothing"


def change_command(template: dict[str, Any]) -> None:
    init(template)["command"] = ["true"]


def change_arguments(template: dict[str, Any]) -> None:
    init(template)["args"].append("--exclude=0.0.0.0/0")


def change_rights(template: dict[str, Any]) -> None:
    init(template)["securityContext"]["capabilities"] = {"drop": ["ALL"]}


def give_the_proxy_rights(template: dict[str, Any]) -> None:
    template["spec"]["initContainers"][1]["securityContext"]["capabilities"] = {
        "add": ["NET_ADMIN"]
    }


def take_the_proxy_away(template: dict[str, Any]) -> None:
    del template["spec"]["initContainers"][1]


def take_other_ranges(template: dict[str, Any]) -> None:
    (volume,) = (x for x in template["spec"]["volumes"] if x["name"] == "outgate-mesh")
    volume["configMap"]["name"] = "wider"


def take_ranges_away(template: dict[str, Any]) -> None:
    template["spec"]["volumes"] = []


def use_the_nodes_network(template: dict[str, Any]) -> None:
    template["spec"]["hostNetwork"] = True


def ask_for_ranges_afterwards(template: dict[str, Any]) -> None:
    template["metadata"]["annotations"]["outgate.dev/exclude-ip-ranges"] = "10.0.0.0/8"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_image, "container outgate-init: image is not"),
        (change_command, "container outgate-init: command is not"),
        (change_arguments, "container outgate-init: args is not"),
        (ask_for_ranges_afterwards, "container outgate-init: args is not"),
        (change_rights, "container outgate-init: securityContext is not"),
        (give_the_proxy_rights, "container outgate-proxy: securityContext is not"),
        (take_the_proxy_away, "container outgate-proxy: is missing"),
        (take_other_ranges, "volume outgate-mesh: is not"),
        (take_ranges_away, "volume outgate-mesh: is not"),
        (use_the_nodes_network, "spec.hostNetwork: is true"),
    ],
)
def test_what_is_not_capture_is_found(change: Callable[[dict[str, Any]], None], said: str) -> None:
    template = injected()
    change(template)
    found = verifying.difference(template, Options())
    assert found is not None
    assert ": ".join(found).startswith(said)


def test_what_others_added_to_the_init_container_is_taken_out() -> None:
    template = injected()
    init(template).update(
        env=[{"name": "PYTHONPATH", "value": "/evil"}],
        lifecycle={},
        resources={"limits": {"cpu": "1"}},
        volumeMounts=[{"name": "evil", "mountPath": "/usr/sbin"}, ACCOUNT],
    )
    template["spec"]["initContainers"].insert(0, {"name": "before"})
    settled = verifying.settled(template, Options())
    names = [each["name"] for each in settled["spec"]["initContainers"]]
    assert names == [pod.INIT, pod.PROXY, "before", "own"]
    expected = init(injected())
    assert init(settled) == expected | {
        "resources": {"limits": {"cpu": "1"}},
        "volumeMounts": [*expected["volumeMounts"], ACCOUNT],
    }


def test_others_lose_what_gets_round_capture() -> None:
    template = injected()
    del template["spec"]["containers"][0]["securityContext"]
    assert (
        verifying.settled(template, Options())["spec"]["containers"]
        == injected()["spec"]["containers"]
    )
