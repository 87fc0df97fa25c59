"""Starts programs: the one place for it."""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from outgate import environment

Process = subprocess.Popen[str]


class BenchError(Exception):
    """The benchmark cannot go on; the message says why."""


def run(
    *command: str,
    settings: Mapping[str, str] | None = None,
    stdin: str = "",
    check: bool = True,
    seconds: float = 120.0,
) -> str:
    """Run a command to its end and return its output; BenchError with its own words if it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - the benchmark's own commands
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env=_environment(settings),
        )
    except OSError as error:
        raise BenchError(f"{command[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{' '.join(command[:5])}: not done in {seconds:g} s") from error
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise BenchError(f"{' '.join(command[:6])}: exit status {done.returncode}: {said}")
    return done.stdout


@contextlib.contextmanager
def started(
    command: Sequence[str],
    log: Path,
    *,
    settings: Mapping[str, str] | None = None,
    talking: bool = False,
) -> Iterator[Process]:
    """Run a command for the time of a `with` block; with `talking` its standard input and output are pipes."""
    pipe = subprocess.PIPE if talking else None
    with log.open("a", encoding="utf-8") as output:
        process = subprocess.Popen(  # noqa: S603 - the benchmark's own commands
            command,
            stdin=pipe or subprocess.DEVNULL,
            stdout=pipe or output,
            stderr=output,
            text=True,
            # An interrupt ends the benchmark first, which ends these in order.
            start_new_session=True,
            env=_environment(settings),
        )
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()
        for stream in filter(None, (process.stdin, process.stdout)):
            with contextlib.suppress(OSError):
                stream.close()


def _environment(settings: Mapping[str, str] | None) -> dict[str, str]:
    return environment.for_workloads() | dict(settings or {})
