"""`python -m tests.cluster build|up|down`: a cluster to work with, number 0 of those on the machine.

`python -m tests.cluster images` prints archives of the images that tests use, for another cluster to load.
"""

import argparse
import sys
import time

from tests.cluster import builds, claims, images, life
from tests.cluster.commands import ClusterError
from tests.cluster.places import COUNT, Place


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("do", choices=("build", "up", "down", "images"))
    parser.add_argument("--index", type=int, choices=range(COUNT), default=0)
    arguments = parser.parse_args()
    place = Place(arguments.index)
    try:
        match str(arguments.do):
            case "build":
                builds.build(_say)
            case "up":
                _up(place)
            case "down":
                _down(place)
            case _:
                _print(*map(str, images.archives(images.images())))
    except ClusterError as error:
        _say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _up(place: Place) -> None:
    life.require()
    builds.build(_say)
    began = time.monotonic()
    lock = claims.take(place)
    if lock is None:
        _say("is up already")
    else:
        life.sweep()
        life.start(place, lock).ask("keep")
        _say(f"up in {time.monotonic() - began:.1f} s; kubectl is {builds.program('kubectl')}")
    # Alone on standard output, for a shell to read.
    _print(f"export KUBECONFIG={place.kubeconfig}")


def _down(place: Place) -> None:
    life.require()
    began = time.monotonic()
    with claims.use(place) as alone:
        if not alone:
            raise ClusterError("tests use it now")
        life.stop(place)
    life.sweep()
    _say(f"down in {time.monotonic() - began:.1f} s")


def _print(*lines: str) -> None:
    sys.stdout.write("".join(f"{each}\n" for each in lines))


def _say(what: str) -> None:
    sys.stderr.write(f"cluster: {what}\n")


if __name__ == "__main__":
    sys.exit(main())
