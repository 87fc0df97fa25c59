"""A cluster as tests use it: ours, or one that somebody else runs."""

import contextlib
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from tests.cluster import builds, life
from tests.cluster.commands import ENVIRONMENT, ClusterError, run
from tests.cluster.node import Node
from tests.cluster.parts import Part, optional, parts

EXTERNAL = "OUTGATE_TEST_KUBECONFIG"
"""Names the environment variable with the kubeconfig of a cluster to use instead."""

_numbers = itertools.count(1)


class Cluster:
    """Any cluster, by its kubeconfig."""

    def __init__(
        self, kubeconfig: Path, kubectl: tuple[str, ...], node: Node | None = None
    ) -> None:
        """Take it as it runs; with the node if it is ours."""
        self.kubeconfig = kubeconfig
        self._kubectl = kubectl
        self._node = node

    @classmethod
    def own(cls, node: Node) -> Self:
        """Return the cluster of a node that runs on this machine."""
        return cls(node.place.kubeconfig, life.kubectl(node.place), node)

    @classmethod
    def external(cls, kubeconfig: Path) -> Self:
        """Return one that somebody else runs; ClusterError if it does not answer."""
        program = shutil.which("kubectl") or str(builds.program("kubectl"))
        cluster = cls(kubeconfig, (program, f"--kubeconfig={kubeconfig}"))
        cluster.kubectl("get", "--raw", "/readyz", seconds=20)
        return cluster

    @property
    def command(self) -> tuple[str, ...]:
        """How kubectl is called: the program, and the flags that go before all others."""
        return self._kubectl

    def kubectl(self, *words: str, text: str = "", seconds: float = 60.0) -> str:
        """Run kubectl and return its output; ClusterError with what it said if it fails."""
        # Somebody else's kubeconfig may name a program that needs the environment; ours needs none.
        environment = ENVIRONMENT if self._node else os.environ
        return run(*self._kubectl, *words, text=text, seconds=seconds, environment=environment)

    def apply(self, *manifests: str, namespace: str = "default") -> str:
        """Apply manifests, in YAML."""
        return self.kubectl("apply", "-n", namespace, "-f", "-", text="\n---\n".join(manifests))

    def exec(self, pod: str, *command: str, namespace: str = "default", container: str = "") -> str:
        """Run a command in a pod, which may be named as `deploy/NAME`, and return its output."""
        chosen = ("-c", container) if container else ()
        return self.kubectl("exec", "-n", namespace, pod, *chosen, "--", *command)

    def wait(self, what: str, *names: str, namespace: str = "default", seconds: int = 60) -> None:
        """Wait for a condition such as `Ready` of objects such as `pod/NAME`."""
        limit = f"--timeout={seconds}s"
        condition = f"--for=condition={what}"
        self.kubectl("wait", "-n", namespace, condition, limit, *names, seconds=seconds + 10)

    @contextlib.contextmanager
    def namespace(self, **labels: str) -> Iterator[str]:
        """Have a namespace for the time of a `with` block; pods can be made in it at once."""
        name = f"test-{os.getpid()}-{next(_numbers)}"
        self.kubectl("create", "namespace", name)
        try:
            if labels:
                pairs = (f"{key}={value}" for key, value in labels.items())
                self.kubectl("label", "namespace", name, *pairs)
            account = ("--for=create", "serviceaccount/default", "--timeout=30s")
            self.kubectl("wait", "-n", name, *account)
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false")

    @property
    def node(self) -> Node:
        """The node, for what is only there, such as `node.run("nft", "list", "ruleset")`; skips if it is not ours."""
        if self._node is None:
            pytest.skip(f"{EXTERNAL} names a cluster whose node is not ours")
        return self._node

    def stop(self, part: str) -> None:
        """Kill one of the cluster's programs (see `parts`), such as "kube-apiserver"; it may have ended already."""
        self.node.stop(self._part(part))

    def start(self, part: str, *flags: str) -> None:
        """Start it again, with further flags, and return when it serves."""
        chosen = self._part(part)
        self.node.begin(chosen, *flags)
        self.node.wait_for(chosen)

    @contextlib.contextmanager
    def enforcing(self) -> Iterator[None]:
        """Have NetworkPolicies enforced for the time of a `with` block; nothing of that is left afterwards."""
        name = "kube-router"
        self.start(name)
        try:
            yield
        finally:
            self.stop(name)
            # Its own `--cleanup-config` does not get to the end without IPVS.
            for each in ("iptables", "ip6tables"):
                kept = r"grep -vE 'KUBE-(ROUTER|POD-FW|NWPLCY)'"
                self.node.run("sh", "-c", f"{each}-save -t filter | {kept} | {each}-restore")
            self.node.run("ipset", "destroy")

    def import_image(self, archive: Path) -> None:
        """Add the images of an archive, as `archive.Image.pack` and `docker save` make them."""
        life.import_image(self.node.place, archive)

    def _part(self, name: str) -> Part:
        known = parts(self.node.place) | optional(self.node.place)
        if name not in known:
            raise ClusterError(f"no part {name!r}; there are {', '.join(known)}")
        return known[name]
