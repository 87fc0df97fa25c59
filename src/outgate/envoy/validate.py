"""Asks Envoy itself whether it accepts a bootstrap: for `translate` and for golden tests."""

import subprocess
import tempfile
from pathlib import Path

from outgate.envoy.logs import explain, warnings
from outgate.errors import EnvoyError

_SECONDS = 60.0


def validate(binary: Path, bootstrap: str) -> tuple[str, ...]:
    """Run `envoy --mode validate` on `bootstrap` (JSON or YAML text); return Envoy's warnings.

    A refused configuration is an EnvoyError with Envoy's own message. Files that the configuration
    names are read, and no socket is opened.
    """
    with tempfile.TemporaryDirectory(prefix="outgate-validate-") as directory:
        # Envoy decides by the suffix; JSON is YAML, except that its YAML reader is slow, so say
        # what it is.
        suffix = "json" if bootstrap.lstrip().startswith("{") else "yaml"
        path = Path(directory) / f"bootstrap.{suffix}"
        path.write_text(bootstrap, encoding="utf-8")
        command = [str(binary), "--mode", "validate", "--log-level", "warning", "-c", str(path)]
        try:
            done = subprocess.run(  # noqa: S603 - the binary that was checked
                command,
                cwd=directory,
                capture_output=True,
                text=True,
                errors="replace",
                env={},
                stdin=subprocess.DEVNULL,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EnvoyError(f"{binary} --mode validate: {error}") from error
    if done.returncode:
        raise EnvoyError(f"Envoy refuses the configuration: {explain(done.stderr)}")
    return warnings(done.stderr)
