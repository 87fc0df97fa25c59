"""Builds the images with podman or buildah: `outgate` from the Containerfile; Envoy's is the one of its project."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from images import labels
from images.commands import BuildError, run
from images.labels import Wanted
from outgate.inject.options import ENVOY_VERSION

NAMES = ("podman", "buildah")
STOCK_ENVOY = f"docker.io/envoyproxy/envoy:{ENVOY_VERSION}"


def build(wanted: Wanted, engine: str) -> Iterator[tuple[Path, bool]]:
    """Build both images under their names, and write their archives, yielding the path of each."""
    run(
        *(engine, "build", "--file", str(wanted.project / "images/Containerfile")),
        *("--ignorefile", str(wanted.project / "images/Containerfile.containerignore")),
        *("--build-arg", f"VERSION={labels.version(wanted.project)}"),
        *("--build-arg", f"SOURCE_DATE_EPOCH={wanted.epoch}", "--timestamp", str(wanted.epoch)),
        *("--layers", "--tag", wanted.outgate, str(wanted.project)),
    )
    yield _save(engine, wanted.outgate, wanted.output / "outgate.tar"), True
    _tag_envoy(engine, wanted.envoy)
    yield _save(engine, wanted.envoy, wanted.output / "envoy.tar"), True


def _tag_envoy(engine: str, name: str) -> None:
    try:
        run(engine, "tag", STOCK_ENVOY, name)
    except BuildError:
        run(engine, "pull", "--quiet", STOCK_ENVOY)
        run(engine, "tag", STOCK_ENVOY, name)


def _save(engine: str, name: str, path: Path) -> Path:
    # Neither replaces an archive.
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        new = f"{folder}/image.tar"
        if engine == "podman":
            run("podman", "save", "--quiet", "--format", "docker-archive", "--output", new, name)
        else:
            run("buildah", "push", "--quiet", name, f"docker-archive:{new}:{name}")
        Path(new).replace(path)
    return path
