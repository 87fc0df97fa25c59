"""Runs programs, and says in their own words why they failed."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/nonexistent",
}
"""What the cluster's programs get: a proxy or a kubeconfig that the user has set is not for them."""


class ClusterError(Exception):
    """The cluster cannot be had, or refused something; the message says why."""


def run(
    *command: str,
    text: str = "",
    seconds: float = 60.0,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """Run a command to its end and return its output; ClusterError with its own words if it fails."""
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            cwd=folder,
            env=ENVIRONMENT if environment is None else dict(environment),
        )
    except OSError as error:
        raise ClusterError(f"{command[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{' '.join(command)}: not done in {seconds:g} s") from error
    if done.returncode:
        said = "\n".join(filter(None, (done.stdout.strip(), done.stderr.strip())))
        raise ClusterError(f"{' '.join(command)}: exit status {done.returncode}\n{said[-4000:]}")
    return done.stdout


def succeeds(*command: str, seconds: float = 10.0) -> bool:
    """Tell whether a command ends well."""
    try:
        run(*command, seconds=seconds)
    except ClusterError:
        return False
    return True
