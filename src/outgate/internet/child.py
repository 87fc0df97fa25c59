"""The servers' process as its owner sees it: started in its own namespace, asked, and ended."""

import contextlib
import json
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from outgate.errors import HostError, OutgateError

# Found on PATH.
_UNSHARE = "unshare"
_ANSWER_SECONDS = 20.0
_END_SECONDS = 2.0


class Child:
    """The process that runs `outgate.internet.servers` with the configuration file in `folder`."""

    def __init__(self, folder: Path) -> None:
        """Start it; it opens nothing yet."""
        self._log = folder / "log"
        self._lock = threading.Lock()
        # Not the working directory on the module path: what happens to be in it is none of ours.
        python = (sys.executable, "-P", "-W", "ignore", "-m", "outgate.internet.servers")
        with self._log.open("w", encoding="utf-8") as log:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - ourselves
                    (_UNSHARE, "--net", *python, "--config", str(folder / "config")),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    # A Ctrl-C is for the owner, who then ends this.
                    start_new_session=True,
                )
            except OSError as error:
                hint = "install the package util-linux"
                raise HostError(f"unshare: {error.strerror}", hint=hint) from error

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def wait_for_namespace(self) -> None:
        """Return once it is in its own network namespace."""
        deadline = time.monotonic() + _ANSWER_SECONDS
        ours = Path("/proc/self/ns/net").readlink()
        while Path(f"/proc/{self.pid}/ns/net").readlink() == ours:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise self._failure()
            time.sleep(0.001)

    def call(self, do: str, **arguments: Any) -> None:
        """Have it do something; OutgateError if it cannot, HostError if it does not answer."""
        with self._lock:
            line = self._exchange(json.dumps({"do": do} | arguments) + "\n")
        if not line:
            raise self._failure()
        answer: Mapping[str, Any] = json.loads(line)
        if "error" in answer:
            raise OutgateError(f"small internet: {answer['error']}")

    def end(self) -> None:
        """End it, and wait until it has."""
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _exchange(self, line: str) -> str:
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except BrokenPipeError:
            return ""
        # Each command has one line of answer, so that none can be in the buffer already.
        ready, _, _ = select.select([self._process.stdout], [], [], _ANSWER_SECONDS)
        return self._process.stdout.readline() if ready else ""

    def _failure(self) -> HostError:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        reason = lines[-1] if lines else "no answer"
        return HostError(f"the small internet's servers failed: {reason}")
