"""A cluster leaves nothing on the machine, also where whoever started it was killed half-way."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cluster import claims, life, node
from tests.cluster.cluster import Cluster
from tests.cluster.commands import run
from tests.cluster.places import COUNT, Place

pytestmark = [pytest.mark.cluster, pytest.mark.root]

PROJECT = Path(__file__).parent.parent.parent
SECONDS = 60.0


@pytest.fixture
def place(cluster: Cluster) -> Place:
    """A free place beside the cluster that the other tests share."""
    assert cluster.node.pid
    found, lock = claims.first_free(range(1, COUNT))
    claims.leave(found, lock)
    return found


def command(do: str, place: Place) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.cluster", do, "--index", str(place.index))


def call(do: str, place: Place) -> str:
    return run(*command(do, place), folder=PROJECT, environment=os.environ)


def tables() -> str:
    return run("nft", "list", "tables")


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not appear"
        time.sleep(0.01)


def test_up_and_down_any_number_of_times(place: Place) -> None:
    said = f"export KUBECONFIG={place.kubeconfig}\n"
    assert call("up", place) == said
    assert call("up", place) == said
    namespaces = node.namespaces(place)
    assert len(namespaces) == 3
    members = node.processes(namespaces)
    assert len(members) >= 8
    assert life.remains(place)
    assert "kube-proxy" not in tables()
    call("down", place)
    assert not node.running(members)
    assert not life.remains(place)
    assert not claims.is_taken(place)
    call("down", place)


@pytest.mark.parametrize("moment", ["node.sock", "containerd.sock", "kubelet.log"])
def test_one_that_was_killed_half_way_ends_and_is_swept(place: Place, moment: str) -> None:
    with subprocess.Popen(command("up", place), cwd=PROJECT, stderr=subprocess.DEVNULL) as starting:
        wait_for(place.folder / moment)
        members = node.processes(node.namespaces(place))
        starting.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while claims.is_taken(place):
        assert time.monotonic() < deadline, "it goes on without whoever started it"
        time.sleep(0.05)
    assert not node.running(members)
    assert place.folder.exists()
    life.sweep()
    assert not life.remains(place)


def test_one_that_was_interrupted_leaves_nothing(place: Place) -> None:
    # A shell has what it starts in the background ignore it.
    up = ("env", "--default-signal=INT", *command("up", place))
    with subprocess.Popen(up, cwd=PROJECT, stderr=subprocess.DEVNULL) as starting:
        wait_for(place.folder / "containerd.sock")
        starting.send_signal(signal.SIGINT)
    assert starting.returncode
    assert not life.remains(place)
    assert not claims.is_taken(place)
