"""Outgate in the cluster that tests share: installed as a user installs it, with images from this tree."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.cluster import builds
from tests.cluster.cluster import Cluster
from tests.cluster.commands import ClusterError
from tests.cluster.internet import ClusterInternet
from tests.cluster.mesh.waiting import eventually
from tests.outside.control import Outside

from outgate import __version__
from outgate.inject.options import Options

PROJECT = Path(__file__).parents[3]
HUB = "docker.io/outgate"
SYSTEM = "outgate-system"
CONTROLLER, LEASE = "outgate-controller", "outgate-controller-leader"
APP = """
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: app
    image: curlimages/curl
    imagePullPolicy: IfNotPresent
    command: [sleep, infinity]
"""
SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: externalbin}
spec:
  type: ExternalName
  externalName: httpbin.org
  ports: [{port: 80, name: http}]
---
apiVersion: v1
kind: Service
metadata: {name: securegoogle}
spec:
  type: ExternalName
  externalName: www.google.com
  ports: [{port: 443, name: https}]
"""


@dataclass(frozen=True)
class Mesh:
    """Outgate, as it runs in a cluster; `tools` is a folder with `kubectl` and `outgate`, for a user's shell."""

    cluster: Cluster
    tools: Path

    def shell(self, script: str, *, check: bool = True, seconds: float = 60) -> str:
        """Type commands as a user does, and return what they print."""
        environment = {
            **os.environ,
            "PATH": f"{self.tools}:{os.environ['PATH']}",
            "KUBECONFIG": str(self.cluster.kubeconfig),
        }
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-ec", script],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        assert not check or done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout + ("" if check else done.stderr)

    def inject(self, manifest: str, *flags: str) -> str:
        """Return a manifest with capture."""
        command = [str(self.tools / "outgate"), "kube-inject", *flags, "-f", "-"]
        done = subprocess.run(command, input=manifest, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def logs(self, deployment: str) -> str:
        """Return what all pods of one of our deployments have said."""
        return self.cluster.kubectl(
            "logs",
            "-n",
            SYSTEM,
            "-l",
            f"app.kubernetes.io/name={deployment}",
            "--tail=-1",
            "--prefix",
        )

    def logged(self, **wanted: str) -> list[dict[str, Any]]:
        """Return the lines of the egress log that have these fields; it is written once a second."""
        for _ in range(20):
            lines = (line.partition("] ")[2] for line in self.logs("outgate-egress").splitlines())
            found = [json.loads(each) for each in lines if each.startswith("{")]
            if chosen := [each for each in found if wanted.items() <= each.items()]:
                return chosen
            time.sleep(0.2)
        return []

    def rollout(self) -> None:
        """Wait until all controllers are of the deployment as it is now."""
        words = ("rollout", "status", "-n", SYSTEM, f"deployment/{CONTROLLER}", "--timeout=60s")
        self.cluster.kubectl(*words)

    def controllers(self) -> list[str]:
        label = f"app.kubernetes.io/name={CONTROLLER}"
        said = self.cluster.kubectl("get", "pods", "-n", SYSTEM, "-l", label, "-o=name")
        return [each.removeprefix("pod/") for each in said.split()]

    def leader(self) -> str:
        path = "-o=jsonpath={.spec.holderIdentity}"
        return self.cluster.kubectl("get", "lease", "-n", SYSTEM, LEASE, path)

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.shell("outgate status -o json")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have first what begins with an empty cluster, before `mesh` is installed for all others."""
    items.sort(key=lambda each: "empty" not in getattr(each, "fixturenames", ()))


# Without the time that egress pods have for calls that are open.
_CLEAR = f"""
kubectl delete deployments -n {SYSTEM} --all --wait=false
kubectl delete pods -n {SYSTEM} --all --force --grace-period=0
outgate install --uninstall
"""


@pytest.fixture
def empty(tools: Mesh) -> Iterator[Mesh]:
    """A cluster without Outgate, before and after a test."""
    tools.shell(_CLEAR, seconds=200)
    yield tools
    tools.shell(_CLEAR, seconds=200)


@pytest.fixture(scope="session")
def tools(
    cluster: Cluster, internet: ClusterInternet, tmp_path_factory: pytest.TempPathFactory
) -> Mesh:
    """What a user has before Outgate is installed; only what the small internet has is outside."""
    folder = tmp_path_factory.mktemp("mesh")
    tools = folder / "bin"
    tools.mkdir()
    # The small internet has an authority of its own; a small machine is enough for one of each.
    flags = f"--ca-file '{internet.ca_file}' --egress-replicas 1 --replicas 1"
    # Harmless until something enforces them; the cluster's DNS server runs beside its pods.
    flags += f" --network-policy --set=OUTGATE_CLUSTER_DNS={cluster.node.place.node_address}"
    _tool(
        tools / "outgate",
        (sys.executable, "-m", "outgate"),
        # Before the others, so that a test's own count.
        f'[ "$1" != install ] || {{ shift; set -- install {flags} "$@"; }}',
    )
    _tool(tools / "kubectl", cluster.command)
    _tool(tools / "helm", (str(builds.program("helm")),))
    _images(cluster, folder)
    return Mesh(cluster, tools)


@pytest.fixture(scope="session")
def outside(internet: ClusterInternet) -> Outside:
    """The servers that only tests want, of the one small internet that there is; a file opens what it needs."""
    return Outside(internet)


@pytest.fixture(scope="session")
def mesh(tools: Mesh) -> Iterator[Mesh]:
    """Outgate, installed."""
    cluster, made = tools.cluster, tools
    phase = ("get", "namespace", SYSTEM, "--ignore-not-found", "-o=jsonpath={.status.phase}")
    if cluster.kubectl(*phase) == "Terminating":
        # An earlier session's, in a cluster that is kept.
        cluster.kubectl("wait", "--for=delete", f"namespace/{SYSTEM}", "--timeout=55s")
    made.shell("outgate install | kubectl apply -f -")
    try:
        try:
            for name in ("outgate-controller", "outgate-egress"):
                cluster.kubectl(
                    "rollout", "status", "-n", SYSTEM, f"deployment/{name}", "--timeout=60s"
                )
        except ClusterError as error:
            said = cluster.kubectl("get", "pods,events", "-n", SYSTEM)
            for name in ("outgate-controller", "outgate-egress"):
                with contextlib.suppress(ClusterError):
                    said += made.logs(name)
            raise AssertionError(said) from error
        yield made
    finally:
        made.shell("outgate install | kubectl delete --ignore-not-found --wait=false -f -")


@pytest.fixture(scope="module")
def two(mesh: Mesh) -> Iterator[Mesh]:
    """The mesh with two controllers."""
    scale = ("scale", "-n", SYSTEM, f"deployment/{CONTROLLER}")
    mesh.cluster.kubectl(*scale, "--replicas=2")
    mesh.rollout()
    eventually(lambda: mesh.leader() in mesh.controllers())
    yield mesh
    mesh.cluster.kubectl(*scale, "--replicas=1")


def _tool(path: Path, command: Sequence[str], before: str = "") -> None:
    words = " ".join(f"'{each}'" for each in command)
    path.write_text(f'#!/bin/sh\n{before}\nexec {words} "$@"\n')
    path.chmod(0o755)


def _images(cluster: Cluster, folder: Path) -> None:
    """Make the images, and have them in the cluster under the names that manifests have without any flag."""
    subprocess.run(
        [PROJECT / "scripts" / "images", "--output", folder, "--hub", HUB],
        check=True,
        capture_output=True,
    )
    for name in ("outgate", "envoy"):
        cluster.import_image(folder / f"{name}.tar")
    wanted = Options()
    assert wanted.image == f"{HUB}/outgate:{__version__}"
    tag = wanted.proxy_image.rpartition(":")[2]
    ctr = ("ctr", "--address", str(cluster.node.place.containerd), "--namespace", "k8s.io")
    for own, stock in (
        (f"{HUB}/envoy:{tag}", wanted.proxy_image),
        # For tests that have all images from one place.
        (wanted.coredns_image, Options(hub=HUB).coredns_image),
    ):
        cluster.node.run(*ctr, "images", "tag", "--force", own, stock)
