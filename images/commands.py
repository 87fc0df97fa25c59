"""Runs programs, and says in their own words why they failed."""

import subprocess
from collections.abc import Mapping

CLEAN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}
"""The environment for what must do the same for everybody."""


class BuildError(Exception):
    """An image cannot be built; the message says why."""


def run(
    *command: str, environment: Mapping[str, str] | None = None, ok: tuple[int, ...] = (0,)
) -> str:
    """Run a command, in this process's environment if not in another, and return its output; BuildError if it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - the commands of this package
            command,
            capture_output=True,
            text=True,
            check=False,
            env=None if environment is None else dict(environment),
        )
    except OSError as error:
        raise BuildError(f"{command[0]}: {error.strerror}") from error
    if done.returncode not in ok:
        said = "\n".join(filter(None, (done.stdout.strip(), done.stderr.strip())))
        raise BuildError(f"{' '.join(command)}: exit status {done.returncode}\n{said[-4000:]}")
    return done.stdout
