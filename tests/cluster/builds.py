"""Builds Kubernetes, its DNS server, what enforces network policies, Helm and all else that tests run, once."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import toolchain
from tests.cluster.caches import Say, cache, key, once
from tests.cluster.commands import ClusterError, run

_KUBERNETES = "k8s.io/kubernetes"
_COMMANDS = (
    *("kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    *("kubelet", "kube-proxy", "kubectl"),
)
_HELM = "helm.sh/helm/v3"
# Whether a chart is for it is asked of the version of Kubernetes that its own build names.
_HELM_VARIABLES = tuple(
    f"{_HELM}/pkg/{package}.k8sVersion{part}={number}"
    for package in ("chartutil", "lint/rules")
    for part, number in (("Major", 1), ("Minor", 34))
)
_ROUTER = "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"
RATE_LIMIT = "service_cmd"
"""The rate-limit service that is made for Envoy, as its module calls the program."""
_RATE_LIMIT = f"github.com/envoyproxy/ratelimit/src/{RATE_LIMIT}"
_SECONDS = 3600.0
# The largest of them takes 2 GB to compile and link.
_AT_ONCE = min(os.cpu_count() or 1, 4)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A Go module of ours in folder `name`, the packages to build there, and what the linker is to set."""

    name: str
    packages: tuple[str, ...]
    variables: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where its binaries are, or will be: another one whenever anything they are made from is different."""
        sources = sorted((toolchain.SOURCES / self.name).iterdir())
        texts = (part for path in sources for part in (path.name.encode(), path.read_bytes()))
        return cache() / f"{self.name}-{key(repr(self).encode(), *texts)}"

    def make(self, go: str, folder: Path) -> None:
        """Compile into `folder`; ClusterError with the compiler's own words if that fails."""
        linker = " ".join(("-s -w", *(f"-X {each}" for each in self.variables)))
        run(
            *(go, "build", "-p", str(_AT_ONCE), "-trimpath", "-buildvcs=false"),
            *("-ldflags", linker, "-o", f"{folder}/", *self.packages),
            seconds=_SECONDS,
            folder=toolchain.SOURCES / self.name,
            environment=toolchain.environment(),
        )


def recipes() -> dict[str, Recipe]:
    """Return which recipe makes each program."""
    packages = tuple(f"{_KUBERNETES}/cmd/{each}" for each in _COMMANDS)
    kubernetes = Recipe("kubernetes", packages, tuple(_variables()))
    own = {name: Recipe(name, (".",)) for name in ("coredns", "pause")}
    own["kube-router"] = Recipe("kube-router", (_ROUTER,))
    helm = Recipe("helm", (f"{_HELM}/cmd/helm",), _HELM_VARIABLES)
    own[RATE_LIMIT] = Recipe("ratelimit", (_RATE_LIMIT,))
    return {**dict.fromkeys(_COMMANDS, kubernetes), **own, "helm": helm}


def program(name: str) -> Path:
    """Return the path of a program; ClusterError if it is not built."""
    path = recipes()[name].folder / name
    if not path.exists():
        raise ClusterError(f"{name} is not built: `make cluster-build` does")
    return path


def build(say: Say) -> None:
    """Build what is missing."""
    for recipe in dict.fromkeys(recipes().values()):
        if recipe.folder.exists():
            continue
        go = toolchain.find(say)
        with once(recipe.folder) as folder:
            if folder is not None:
                say(f"building {recipe.name}: minutes, the first time")
                recipe.make(go, folder)


def _variables() -> Iterator[str]:
    """Yield what the release's own build sets, so that the cluster and kubectl say which version they are."""
    text = (toolchain.SOURCES / "kubernetes" / "go.mod").read_text()
    found = re.search(rf"^require {_KUBERNETES} v((\d+)\.(\d+)\.\d+)$", text, re.MULTILINE)
    if not found:
        raise ClusterError("go.mod requires no version of Kubernetes")
    version, major, minor = found.groups()
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        yield f"{package}.gitVersion=v{version}"
        yield f"{package}.gitMajor={major}"
        yield f"{package}.gitMinor={minor}"
        yield f"{package}.gitTreeState=clean"
        yield f"{package}.gitCommit=none"
        yield f"{package}.buildDate=2026-01-01T00:00:00Z"
