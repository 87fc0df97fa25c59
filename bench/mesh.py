"""A local mesh of the benchmark's own, started and used by commands."""

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import places
from bench.commands import run
from outgate.host.client import Client
from outgate.host.plan import Layout
from outgate.host.store import Store, key_of
from outgate.settings import Settings

OUTGATE = str(Path(sys.executable).with_name("outgate"))


def service(name: str, ports: dict[str, int], host: str = "") -> dict[str, Any]:
    """Return a Service of type ExternalName; its host is a name of its own unless one is given."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "type": "ExternalName",
            "externalName": host or f"{name}.{places.DOMAIN}",
            "ports": [{"name": port, "port": number} for port, number in ports.items()],
        },
    }


@dataclass(frozen=True, slots=True)
class Mesh:
    """One local mesh; `folder` is all that it has on disk."""

    folder: Path
    ca_file: Path

    @property
    def settings(self) -> dict[str, str]:
        """The environment of its commands."""
        return {
            "OUTGATE_MESH": places.MESH,
            "OUTGATE_RUN_DIR": str(self.folder / "run"),
            "OUTGATE_STATE_DIR": str(self.folder / "state"),
            "OUTGATE_LOG_DIR": str(self.folder / "log"),
            "OUTGATE_RESOLVERS": places.RESOLVER,
            "OUTGATE_CA_FILE": str(self.ca_file),
            "OUTGATE_DRAIN_SECONDS": "0",
        }

    def command(self, *words: str) -> tuple[str, ...]:
        """Return a command line of `outgate`."""
        return (OUTGATE, *words)

    def outgate(self, *words: str, stdin: str = "") -> str:
        """Run a command and return its output."""
        return run(*self.command(*words), settings=self.settings, stdin=stdin, seconds=300)

    def status(self) -> dict[str, Any]:
        """Return what `outgate status` says."""
        return dict(json.loads(self.outgate("status", "-o", "json")))

    def apply(self, services: Iterable[dict[str, Any]]) -> None:
        """Apply services with the command."""
        self.outgate("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, services)))

    def pod(self, name: str, *flags: str) -> str:
        """Start a pod that waits."""
        self.outgate("run", "-d", "--name", name, *flags, "--", "sleep", "infinity")
        return name

    def write(self, value: dict[str, Any]) -> None:
        """Do what `outgate apply` does once its interpreter runs and the manifest is read."""
        store = Store(self.folder / "state" / "manifests")
        with store.locked():
            store.write(value, "default")
        layout = Layout(Settings(run_dir=self.folder / "run"))
        Client(layout).call("sync", files=[str(store.path(key_of(value)))])


@contextlib.contextmanager
def running(folder: Path, ca_file: Path) -> Iterator[Mesh]:
    """Have a new mesh for the time of a `with` block, and nothing of it afterwards."""
    mesh = Mesh(folder / "mesh", ca_file)
    mesh.outgate("up")
    try:
        yield mesh
    finally:
        mesh.outgate("down")
        run("rm", "-rf", str(mesh.folder))


def remove_left() -> None:
    """Stop what an earlier benchmark has left running."""
    mesh = Mesh(places.FOLDER / "mesh", Path())
    if mesh.folder.exists():
        settings = {
            name: value for name, value in mesh.settings.items() if name != "OUTGATE_CA_FILE"
        }
        run(OUTGATE, "down", settings=settings, check=False)
        run("rm", "-rf", str(mesh.folder))
