"""What is done with Outgate's own deployments in a cluster, and what is waited for."""

import time

from tests.cluster.mesh.conftest import SYSTEM, Mesh

READY = f"""
kubectl rollout status -n {SYSTEM} deployment/outgate-controller --timeout=60s
kubectl rollout status -n {SYSTEM} deployment/outgate-egress --timeout=60s
"""
CONTROLLER = ("-n", SYSTEM, "deployment/outgate-controller")


def set_(mesh: Mesh, change: str) -> None:
    """Change the controller's environment, and wait until the one before has gone: who finds it is sent away."""
    get = (
        "get",
        "pods",
        "-n",
        SYSTEM,
        "-l",
        "app.kubernetes.io/name=outgate-controller",
        "-o=name",
    )
    before = mesh.cluster.kubectl(*get).split()
    mesh.cluster.kubectl("set", "env", *CONTROLLER, change)
    mesh.cluster.kubectl("rollout", "status", *CONTROLLER, "--timeout=60s")
    mesh.cluster.kubectl("wait", "--for=delete", "-n", SYSTEM, *before, "--timeout=60s")


def delete(mesh: Mesh, name: str) -> None:
    """Kill the pods of a deployment without any grace."""
    label = f"app.kubernetes.io/name={name}"
    now = ("--grace-period=0", "--force", "--wait=false")
    mesh.cluster.kubectl("delete", "pod", "-n", SYSTEM, "-l", label, *now)


def programmed(mesh: Mesh, namespace: str, *services: str) -> None:
    """Wait for the Events that say so."""
    chosen = (
        "--field-selector",
        "reason=Programmed",
        "-o=jsonpath={.items[*].involvedObject.name}",
    )
    deadline = time.monotonic() + 60
    while missing := set(services) - set(
        mesh.cluster.kubectl("get", "events", "-n", namespace, *chosen).split()
    ):
        assert time.monotonic() < deadline, missing
        time.sleep(0.2)
