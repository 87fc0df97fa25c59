"""Runs the demo's steps in a mesh of their own, beside any other, and leaves nothing of it behind."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from outgate import environment as environment_of
from outgate.demo.steps import Result, Step, steps
from outgate.errors import HostError
from outgate.internet.manager import SmallInternet

Say = Callable[[str], None]

REAL_ADDRESS = "192.0.2.1"
"""Undeclared, and of the documentation range (RFC 5737): the call must not even leave."""
SHOWN_LINES = 14
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
STEP_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """A step with what was seen."""

    step: Step
    result: Result

    @property
    def is_as_expected(self) -> bool:
        """Whether what was seen is what was expected."""
        return self.step.holds(self.result)


def run(say: Say, *, internet: bool) -> tuple[Outcome, ...]:
    """Run every step, showing each command and its output; stops early only if the mesh does not start."""
    if os.geteuid() != 0:
        raise HostError("the demo needs root: it makes network namespaces", hint="use sudo")
    outcomes: list[Outcome] = []
    with _surroundings(say, internet=internet) as (environment, undeclared):
        for number, step in enumerate(steps(undeclared), 1):
            say(f"\n# {number}. {step.title}")
            say(f"$ {f'{step.keep}=$({step.command})' if step.keep else step.command}")
            result = _run(step.command, environment)
            for line in _shortened(result.output):
                say(line)
            if step.keep:
                environment[step.keep] = result.output.strip()
            outcomes.append(Outcome(step, result))
            if number == 1 and not outcomes[0].is_as_expected:
                break
    return tuple(outcomes)


def _shortened(output: str) -> list[str]:
    lines = output.rstrip("\n").splitlines()
    if len(lines) <= SHOWN_LINES:
        return lines
    return [*lines[:SHOWN_LINES], f"... {len(lines) - SHOWN_LINES} more lines"]


def _run(command: str, environment: dict[str, str]) -> Result:
    try:
        done = subprocess.run(  # noqa: S603 - the steps are ours
            ["/bin/bash", "-c", f"set -o pipefail; {command}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            timeout=STEP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        output = (error.output or b"").decode(errors="replace")
        return Result(124, f"{output}\nno answer within {STEP_SECONDS} s")
    return Result(done.returncode, done.stdout.decode(errors="replace"))


@contextlib.contextmanager
def _surroundings(say: Say, *, internet: bool) -> Iterator[tuple[dict[str, str], str]]:
    """Give the environment of the commands, with a mesh of the demo's own, and an address that nothing declares."""
    folder = Path(tempfile.mkdtemp(prefix="outgate-demo-"))
    inherited = environment_of.inherited()
    environment = inherited | {
        "PATH": f"{Path(sys.executable).parent}:{inherited.get('PATH', _PATH)}",
        "OUTGATE_MESH": f"demo-{os.getpid()}",
        "OUTGATE_RUN_DIR": str(folder / "run"),
        "OUTGATE_STATE_DIR": str(folder / "state"),
        "OUTGATE_LOG_DIR": str(folder / "log"),
        "OUTGATE_DRAIN_SECONDS": "0",
    }
    try:
        if internet:
            yield environment, REAL_ADDRESS
        else:
            say("A small internet of the demo's own answers for httpbin.org and www.google.com.")
            with SmallInternet() as small:
                environment["OUTGATE_RESOLVERS"] = small.resolver
                environment["OUTGATE_CA_FILE"] = str(small.ca_file)
                httpbin = small.plan.records()["httpbin.org", "A"][0]
                yield environment, httpbin
    finally:
        _run("outgate down", environment)
        shutil.rmtree(folder, ignore_errors=True)
