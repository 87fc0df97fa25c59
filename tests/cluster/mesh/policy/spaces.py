"""A namespace of a test's own in the cluster, for policies: what it declares, its pod, and what is said of it."""

import json
from typing import Any

from tests.cluster.mesh.apps import App, external, service
from tests.cluster.mesh.asking import start
from tests.cluster.mesh.conftest import Mesh
from tests.cluster.mesh.operating import programmed
from tests.outside.calling import until

SERVICES = {
    "echo": service("echo", "echo.test", http=80),
    "ws": service("ws", "ws.test", http=80),
    "db": service("db", "tcp.test", tcp=7777),
    "talk": service("talk", "banner.test", tcp=7778),
}
EXTERNALS = {
    "passed": external("passed", "echo.test", "name: tls, port: 443, protocol: TLS"),
    "wild": external("wild", '"*.wild.test"', "name: tls, port: 443, protocol: TLS"),
}
TO_ECHO = [{"service": "echo"}]
NO_RULE = "no rule of an EgressPolicy in this namespace allows it"


def policy(name: str, *rules: dict[str, Any], mode: str = "Enforce", **subject: Any) -> str:
    return json.dumps(
        {
            "apiVersion": "outgate.dev/v1alpha1",
            "kind": "EgressPolicy",
            "metadata": {"name": name},
            "spec": {"subject": subject, "mode": mode, "rules": list(rules)},
        }
    )


class Space:
    """A namespace of a test's own with a captured pod, which has what SERVICES and EXTERNALS declare."""

    def __init__(self, mesh: Mesh, namespace: str) -> None:
        self.mesh, self.namespace = mesh, namespace
        mesh.cluster.apply(*SERVICES.values(), *EXTERNALS.values(), namespace=namespace)
        start(mesh, namespace, "app")
        programmed(mesh, namespace, *SERVICES, *EXTERNALS)
        self.app = App(mesh, namespace)

    def apply(self, *manifests: str) -> None:
        """Have policies in effect."""
        self.mesh.cluster.apply(*manifests, namespace=self.namespace)
        names = [json.loads(each)["metadata"]["name"] for each in manifests]
        assert until(lambda: all(map(self.is_programmed, names)), 30)

    def conditions(self, name: str) -> dict[str, dict[str, Any]]:
        """Return what is said about a policy as it is now, by type."""
        words = ("get", "egresspolicy", name, "-n", self.namespace, "-o=json")
        item = json.loads(self.mesh.cluster.kubectl(*words))
        now = item["metadata"]["generation"]
        conditions = item.get("status", {}).get("conditions", [])
        return {each["type"]: each for each in conditions if each["observedGeneration"] == now}

    def is_programmed(self, name: str) -> bool:
        return self.conditions(name).get("Programmed", {}).get("status") == "True"

    def delete(self, *names: str) -> None:
        self.mesh.cluster.kubectl("delete", "-n", self.namespace, *names)

    def status(self, url: str, *flags: str) -> int:
        return self.app.call(url, *flags).status

    def line(self, **wanted: Any) -> dict[str, Any]:
        """Return the last line of `outgate logs --egress` for this namespace with some values."""
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            said = self.mesh.shell(f"outgate logs --egress -n {self.namespace}")
            lines = map(json.loads, said.splitlines())
            found[:] = [each for each in lines if wanted.items() <= each.items()]
            return bool(found)

        assert until(is_there), wanted
        return found[-1]


# A second pod: other labels, and a service account of its own.
BUILDER = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: builder}
---
apiVersion: v1
kind: Pod
metadata: {name: builder, labels: {app: builder}}
spec:
  terminationGracePeriodSeconds: 0
  serviceAccountName: builder
  containers:
  - name: app
    image: curlimages/curl
    imagePullPolicy: IfNotPresent
    command: [sleep, infinity]
"""
