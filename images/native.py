"""Builds the images from this machine's own files: without a registry, a container engine, or root."""

import functools
from collections.abc import Iterator
from pathlib import Path

from images import archive, cache, debian, labels, layers, python
from images.archive import Image
from images.cache import Cache
from images.commands import CLEAN, BuildError, run
from images.labels import Wanted
from outgate.envoy import binary
from outgate.inject.options import ENVOY_VERSION

USER, ENVOY_USER = "65532:65532", "101:101"
"""By number, so that Kubernetes can tell that they are not root."""


def build(wanted: Wanted, folder: Path) -> Iterator[tuple[Path, bool]]:
    """Write both archives, yielding the path of each and whether it was not there already; `folder` is the cache's."""
    with cache.opened(folder) as kept:
        for image, name in ((_outgate(wanted, kept), "outgate"), (_envoy(wanted, kept), "envoy")):
            path = wanted.output / f"{name}.tar"
            yield path, image.save(path)


def _outgate(wanted: Wanted, kept: Cache) -> Image:
    project, epoch = wanted.project, wanted.epoch
    below = cache.key(_recipe(wanted), debian.versions())
    base = kept.layer("base", below, epoch, layers.base)
    packages = kept.layer(
        *("packages", cache.key(below, python.needed(project)), epoch),
        lambda root: layers.packages(root, project, archive.names(base.path)),
    )
    files = (project / each for each in ("src/outgate", "pyproject.toml", "README.md", "LICENSE"))
    tools = functools.partial(_tools, project, kept)
    top = kept.layer(
        *("outgate", cache.key(below, *files), epoch),
        lambda root: layers.outgate(root, project, tools()),
    )
    return Image(
        name=wanted.outgate,
        layers=(base, packages, top),
        entrypoint=("outgate",),
        user=USER,
        architecture=debian.architecture(),
        labels=labels.outgate(project),
        epoch=epoch,
    )


def _tools(project: Path, kept: Cache) -> Path:
    key = cache.key(_python(), project / "images/build.lock")
    return kept.entry("tools", key, lambda folder: python.install_tools(folder, project))


def _envoy(wanted: Wanted, kept: Cache) -> Image:
    # Not the one on PATH, which may be any.
    found = binary.check(binary.find(search_path=""))
    if (version := f"v{'.'.join(map(str, found.version))}") != ENVOY_VERSION:
        raise BuildError(
            f"{found.path} is Envoy {version}, and the image is to have {ENVOY_VERSION}"
        )
    layer = kept.layer(
        *("envoy", cache.key(_recipe(wanted), debian.versions(), found.path), wanted.epoch),
        lambda root: layers.envoy(root, found.path),
    )
    return Image(
        name=wanted.envoy,
        layers=(layer,),
        entrypoint=("envoy",),
        command=("--config-path", "/etc/envoy/envoy.yaml"),
        user=ENVOY_USER,
        architecture=debian.architecture(),
        labels=labels.envoy(ENVOY_VERSION),
        epoch=wanted.epoch,
    )


def _recipe(wanted: Wanted) -> str:
    """Return a key of how layers are made."""
    return cache.key(
        str(wanted.epoch), _python(), *sorted((wanted.project / "images").glob("*.py"))
    )


@functools.cache
def _python() -> str:
    """Return which pip installs packages."""
    return run(python.BUILDER, "-m", "pip", "--version", environment=CLEAN)
