"""What is too old, or not known, is said with what to do about it."""

from typing import Any

import pytest

from outgate.kube.checks import machines
from outgate.kube.checks.findings import Finding, Level


def node(name: str = "n", **info: str) -> dict[str, Any]:
    usual = {
        "operatingSystem": "linux",
        "architecture": "amd64",
        "kubeletVersion": "v1.34.4",
        "kernelVersion": "6.1.0-18-cloud-amd64",
        "containerRuntimeVersion": "containerd://1.7.1",
    }
    return {"metadata": {"name": name}, "spec": {}, "status": {"nodeInfo": usual | info}}


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ("v1.30.0", Level.OK),
        ("v1.34.4-gke.1200", Level.OK),
        ("v2.0.1", Level.OK),
        ("v1.29.14", Level.ERROR),
        ("nonsense", Level.ERROR),
    ],
)
def test_the_server_has_to_be_new_enough(version: str, level: Level) -> None:
    (found,) = machines.server({"gitVersion": version})
    assert found.level is level
    assert version in found.message


@pytest.mark.parametrize(
    ("info", "level", "text"),
    [
        ({"operatingSystem": "windows"}, Level.WARNING, "not Linux: b"),
        ({"architecture": "s390x"}, Level.WARNING, "of another architecture: b"),
        ({"kubeletVersion": "v1.28.3"}, Level.ERROR, "the kubelet is too old on b"),
        ({"kernelVersion": "4.18.0-553.el8"}, Level.WARNING, "Linux before 5.2 on b"),
    ],
)
def test_each_node_is_judged(info: dict[str, str], level: Level, text: str) -> None:
    found = list(machines.nodes([node("a"), node("b", **info)]))
    wrong = [each for each in found if each.level is not Level.OK]
    assert [(each.level, each.message) for each in wrong] == [(level, text)]
    assert wrong[0].hint


def test_a_cluster_without_linux_is_of_no_use() -> None:
    found = list(machines.nodes([node(operatingSystem="windows")]))
    assert found[-1].level is Level.ERROR


def ranges(cidrs: list[str] | None, pods: list[str], chosen: str = "") -> list[Finding]:
    services = None if cidrs is None else [{"spec": {"cidrs": cidrs}}]
    return list(machines.inside(services, [{"spec": {"podCIDRs": pods}}], chosen))


def test_ranges_are_named_or_have_to_be() -> None:
    (found,) = ranges(["10.96.0.0/16"], ["10.244.0.0/24"])
    assert found == Finding(Level.OK, "ranges", "named by the cluster: 10.96.0.0/16,10.244.0.0/24")
    for cidrs, pods, text in (
        (None, ["10.0.0.0/8"], "before Kubernetes 1.33"),
        (["10.0.0.0/8"], [], "podCIDRs"),
    ):
        (found,) = ranges(cidrs, pods)
        assert found.level is Level.WARNING
        assert text in found.message
        assert "--cluster-ranges" in found.hint
    (found,) = ranges(None, [], "10.0.0.0/8")
    assert found.level is Level.OK
