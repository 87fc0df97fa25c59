"""Builds the container images as archives: what `scripts/images` calls."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from images import engine, labels, native
from images.commands import BuildError
from images.labels import Wanted
from outgate.errors import OutgateError

PROJECT = Path(__file__).parent.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what the arguments say, and tell what was done on standard output, a line for each archive."""
    given = _parser().parse_args(arguments)
    wanted = Wanted(
        project=PROJECT,
        output=given.output.resolve(),
        hub=given.hub,
        tag=given.tag or labels.version(PROJECT),
        epoch=given.epoch,
    )
    try:
        wanted.output.mkdir(parents=True, exist_ok=True)
        made = (
            engine.build(wanted, given.engine)
            if given.engine
            else native.build(wanted, given.cache.resolve())
        )
        for path, new in made:
            size = path.stat().st_size / 1e6
            sys.stdout.write(f"{path} {size:.0f} MB{'' if new else ', unchanged'}\n")
    except (BuildError, OutgateError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/images", description="Builds the container images as archives."
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="folder for outgate.tar and envoy.tar"
    )
    parser.add_argument(
        "--hub", default="localhost", help="registry with its path, as kube-inject's --hub"
    )
    parser.add_argument(
        "--tag", default="", help="tag of the image outgate; without it, the version"
    )
    parser.add_argument(
        "--engine", choices=engine.NAMES, help="have it build from the Containerfile"
    )
    parser.add_argument(
        "--cache", type=Path, required=True, help="folder for what can be used again"
    )
    parser.add_argument(
        "--epoch", type=int, default=0, help="time of all files, in seconds since 1970"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
