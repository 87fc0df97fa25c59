from pathlib import Path
from typing import Any

import pytest

from outgate.errors import UsageError
from outgate.host.pods import Pod, Process, load, request
from outgate.model.workloads import Capture


def asked(**changes: Any) -> dict[str, Any]:
    return {"name": "sleep", "namespace": "default", **changes}


def test_what_was_written_down_is_read_back() -> None:
    pod = Pod(
        "ns",
        "p",
        {"app": "x"},
        include=("10.0.0.0/8",),
        command=("sleep", "1"),
        init=Process(1, 2),
        owner=Process(3, 4),
        main=Process(5, 6),
        link=7,
        exit_status=3,
    )
    assert load(pod.dump()) == pod


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"namespace": 1}', b"null"])
def test_anything_else_is_refused_by_one_of_three_errors(data: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        load(data)


def test_a_request_takes_the_meshs_way_of_capture_unless_it_says_so() -> None:
    assert request(asked(), "sidecar").capture == "sidecar"
    assert request(asked(capture="node"), "sidecar").capture == "node"
    assert request(asked(), "node").service_account == "default"


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"name": "Sleep"}, "--name"),
        ({"name": "a.b"}, "--name"),
        ({"name": "../x"}, "--name"),
        ({"namespace": ""}, "--namespace"),
        ({"labels": {"a b": "c"}}, "--labels"),
        ({"labels": {"a": "b c"}}, "--labels"),
    ],
)
def test_what_is_wrong_names_the_flag(changes: dict[str, Any], flag: str) -> None:
    with pytest.raises(UsageError, match=f"^{flag} "):
        request(asked(**changes), "node")


@pytest.mark.parametrize(
    ("status", "phase"), [(None, "Running"), (0, "Succeeded"), (1, "Failed"), (137, "Failed")]
)
def test_the_phase_is_kubernetes(status: int | None, phase: str) -> None:
    assert Pod("ns", "p", init=Process(1, 1), exit_status=status).phase == phase


def test_before_it_runs_it_is_pending() -> None:
    assert Pod("ns", "p").phase == "Pending"


def test_the_workload_of_a_pod() -> None:
    found = Pod("ns", "p", {"app": "x"}, include=("10.0.0.0/8",), capture="sidecar").workload(
        Path("/n")
    )
    assert str(found.name) == "p.ns"
    assert found.netns == "/n"
    assert found.capture is Capture.SIDECAR
    assert [str(each) for each in found.include] == ["10.0.0.0/8"]
    assert found.identity("cluster.local") == "spiffe://cluster.local/ns/ns/sa/default"


def test_the_manifest_is_what_get_shows() -> None:
    pod = Pod(
        "ns", "p", {"app": "x"}, include=("10.0.0.0/8",), command=("sleep", "1"), init=Process(1, 1)
    )
    found = pod.manifest("spiffe://x")
    assert found["metadata"]["annotations"]["outgate.dev/includeIPRanges"] == "10.0.0.0/8"
    assert found["spec"]["containers"] == [{"name": "p", "command": ["sleep", "1"]}]
    assert found["status"]["containerStatuses"][0]["ready"] is True
    assert (
        "outgate.dev/includeIPRanges" not in Pod("ns", "p").manifest("i")["metadata"]["annotations"]
    )
