"""A mesh of the tests' own, used as a user does: through commands, with a small internet behind it.

A mesh takes a second or two to start, so that all tests of a file share one (`mesh`: each test once with node
capture and once with sidecars), and each test has a namespace of its own in it, whose resources nobody else sees:

    def test_something(space: Space, outside: Outside) -> None:
        outside.open("h2")                               # servers outside: tests/outside/extension.py lists them
        space.apply(MANIFEST)                            # into the test's namespace; in effect when it returns
        answer = space.call("http://h2.test/x", "-d1")   # curl in a captured pod of that namespace
        assert (answer.status, answer.json()["http"]) == (200, "2")
        space.grpc("grpc.test:50051", "Chat", "a", "b")  # also tcp(), websocket(), exec()

`spaces("-l", "app=other")` makes more of them, with flags of `outgate run` for the pod. `outside` starts nothing by
itself; what one test has opened stays open for the others of its file, and `outside.behave` says how a server answers
until it says otherwise: servers, names outside, and what is exported to all namespaces are shared by the tests of a
file. `postgres` and `redis` are real ones (tests/outside/databases.py).
"""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.mesh.spaces import Space, Spaces
from tests.outside import databases
from tests.outside.calling import Answer, answer, curl_command
from tests.outside.control import Outside

from outgate.internet.manager import SmallInternet

SECONDS = 60


class Mesh:
    """One local mesh, by its command line."""

    def __init__(self, internet: SmallInternet, capture: str) -> None:
        self.internet = internet
        self.capture = capture
        self.folder = Path(tempfile.mkdtemp(prefix="oge-", dir="/tmp"))
        self.name = f"t{os.getpid()}-{capture}"[:15].rstrip("-")
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "OUTGATE_MESH": self.name,
            "OUTGATE_RUN_DIR": str(self.folder / "run"),
            "OUTGATE_STATE_DIR": str(self.folder / "state"),
            "OUTGATE_LOG_DIR": str(self.folder / "log"),
            "OUTGATE_RESOLVERS": internet.resolver,
            "OUTGATE_CA_FILE": str(internet.ca_file),
            "OUTGATE_CAPTURE": capture,
            "OUTGATE_DRAIN_SECONDS": "1",
        }

    def start(self, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            words, input=text, text=True, capture_output=True, env=self.environment,
            timeout=SECONDS, check=False, cwd="/",
        )  # fmt: skip

    def run(self, *words: str, text: str = "", status: int | None = 0) -> str:
        """Run a command and return both of its outputs; `status` None: any."""
        done = self.start(*words, text=text)
        output = done.stdout + done.stderr
        assert status is None or done.returncode == status, f"{words}: {done.returncode}: {output}"
        return output

    def outgate(self, *words: str, text: str = "", status: int | None = 0) -> str:
        return self.run("outgate", *words, text=text, status=status)

    def apply(self, *manifests: str) -> str:
        return self.outgate("apply", "-f", "-", text="\n---\n".join(manifests))

    def exec(
        self, pod: str, *command: str, namespace: str = "default", status: int | None = 0
    ) -> str:
        return self.outgate("exec", "-n", namespace, pod, "--", *command, status=status)

    def curl(self, pod: str, *words: str, namespace: str = "default") -> str:
        """Return the status code (000: no answer), a blank, the body, and what curl said."""
        asked = ("curl", "-sS", "-m", "5", "-w", "\n%{http_code}", *words)
        done = self.start("outgate", "exec", "-n", namespace, pod, "--", *asked)
        body, _, code = done.stdout.rpartition("\n")
        return f"{code} {body}{done.stderr}"

    python_program = sys.executable

    def call(self, pod: str, url: str, *flags: str, namespace: str = "default") -> Answer:
        """Ask with curl, as `Space.call` does."""
        words = ("outgate", "exec", "-n", namespace, pod, "--", *curl_command(url, *flags))
        done = self.start(*words)
        return answer(done.stdout, done.stderr)

    def python(self, pod: str, code: str, *words: str) -> Any:
        """Run Python in a pod; it prints JSON."""
        return json.loads(self.exec(pod, sys.executable, "-I", "-c", code, *words))

    @contextlib.contextmanager
    def pod(self, name: str, *flags: str) -> Iterator[str]:
        self.outgate("run", "-d", "--name", name, *flags, "--", "sleep", "infinity")
        try:
            yield name
        finally:
            namespace = flags[flags.index("-n") + 1] if "-n" in flags else "default"
            self.outgate("delete", "pod", name, "-n", namespace, "--ignore-not-found")

    def log(self, found: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the last line of the egress log for which `found` holds; it may take a moment to be written."""
        deadline = time.monotonic() + 5
        while True:
            lines: list[dict[str, Any]] = [
                json.loads(each) for each in self.outgate("logs", "--egress").splitlines()
            ]
            if chosen := [each for each in lines if found(each)]:
                return chosen[-1]
            assert time.monotonic() < deadline, f"no such line in {lines[-5:]}"
            time.sleep(0.1)

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.outgate("status", "-o", "json")))

    def up(self) -> None:
        self.outgate("up")

    def down(self) -> None:
        self.outgate("down")


def left_behind(mesh: Mesh) -> list[str]:
    """Return what of a mesh that is down is still on the machine."""
    found = [str(each) for each in Path("/run/netns").glob(f"{mesh.name}.*")]
    tables = subprocess.run(
        ["nft", "list", "tables"], text=True, capture_output=True, check=True
    ).stdout
    found += [each for each in tables.splitlines() if mesh.name.replace("-", "_") in each]
    processes = subprocess.run(
        ["ps", "-eo", "args"], text=True, capture_output=True, check=True
    ).stdout
    found += [each for each in processes.splitlines() if str(mesh.folder) in each]
    if (mesh.folder / "run").exists():
        found += [str(each) for each in (mesh.folder / "run").iterdir()]
    return found


@pytest.fixture(scope="module")
def internet() -> Iterator[SmallInternet]:
    with SmallInternet() as small:
        yield small


def _mesh(internet: SmallInternet, capture: str, *, up: bool = True) -> Iterator[Mesh]:
    mesh = Mesh(internet, capture)
    if up:
        mesh.up()
    try:
        yield mesh
    finally:
        mesh.down()
        assert not left_behind(mesh)
        subprocess.run(["rm", "-rf", str(mesh.folder)], check=True)


@pytest.fixture(scope="module", params=["node", "sidecar"])
def mesh(request: pytest.FixtureRequest, internet: SmallInternet) -> Iterator[Mesh]:
    """The same behaviour, test for test, however pods are captured."""
    yield from _mesh(internet, request.param)


@pytest.fixture
def own_mesh(request: pytest.FixtureRequest, internet: SmallInternet) -> Iterator[Mesh]:
    """A mesh for one test, that it may break; a parameter says how pods are captured."""
    yield from _mesh(internet, getattr(request, "param", "node"))


@pytest.fixture
def stopped_mesh(internet: SmallInternet) -> Iterator[Mesh]:
    """A mesh that the test starts."""
    yield from _mesh(internet, "node", up=False)


@pytest.fixture(scope="module")
def sleep(mesh: Mesh) -> Iterator[str]:
    with mesh.pod("sleep", "-l", "app=sleep") as name:
        yield name


@pytest.fixture(scope="module")
def outside(internet: SmallInternet) -> Outside:
    """Servers that only tests want; `open` starts them."""
    return Outside(internet)


@pytest.fixture(scope="module")
def postgres(outside: Outside) -> Iterator[None]:
    with databases.postgres(outside):
        yield


@pytest.fixture(scope="module")
def redis(outside: Outside) -> Iterator[None]:
    with databases.redis(outside):
        yield


_NUMBERS = itertools.count()


@pytest.fixture
def spaces(mesh: Mesh) -> Iterator[Spaces]:
    """Make namespaces of the test's own, each with one pod; arguments are flags of `outgate run` for it."""
    made: list[Space] = []

    def make(*flags: str) -> Space:
        made.append(Space(mesh, f"t{next(_NUMBERS)}", *flags))
        return made[-1]

    yield make
    for each in made:
        each.end()


@pytest.fixture
def space(spaces: Spaces) -> Space:
    """A namespace of the test's own, with one pod."""
    return spaces()
