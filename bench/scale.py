"""How long a change takes, and how much memory it takes, with many services registered."""

import contextlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import mesh, origin, places, processes
from bench.commands import BenchError, Process, run, started
from bench.mesh import Mesh

SIZES = (0, 1_000, 5_000)
CHANGES = 200
COMMANDS = 20
USED = 10


def measure(folder: Path) -> list[dict[str, Any]]:
    """Return a row for each number of services."""
    return [_at(folder, size) for size in SIZES]


def _at(folder: Path, size: int) -> dict[str, Any]:
    with mesh.running(folder, origin.ca_file(folder)) as own:
        if size:
            own.apply(
                mesh.service(f"s{index}", {"http": places.HTTP_PORT}) for index in range(size)
            )
        node, aside = own.pod("node"), own.pod("aside", "--capture", "sidecar")
        with probing(own, node, folder) as process:
            changes = _changes(process, own.write, "c", CHANGES)
            commands = _changes(process, lambda value: own.apply([value]), "k", COMMANDS)
        status = own.status()
        sidecar = str(own.folder / "run" / "pods" / f"default.{aside}")
        return {
            "services": size,
            "change_p50_ms": percentile(changes, 50),
            "change_p99_ms": percentile(changes, 99),
            "command_p50_ms": percentile(commands, 50),
            "command_p99_ms": percentile(commands, 99),
            "daemon_rss_mb": round(processes.rss_mb([status["pid"]])),
            "egress_rss_mb": round(processes.rss_mb([status["egress"]["pid"]])),
            "sidecar_rss_mb": round(processes.rss_mb([processes.find(sidecar, "envoy")])),
            "sidecar_configuration_bytes": _configuration(Path(sidecar)),
        }


def https(folder: Path) -> dict[str, Any]:
    """Return the egress Envoy's memory with the largest number of HTTPS services, of which few are used."""
    with mesh.running(folder, origin.ca_file(folder)) as own:
        empty = processes.rss_mb([own.status()["egress"]["pid"]])
        # One host for all, as the origin's certificate has one name; each has a cluster of its own all the same.
        services = (
            mesh.service(f"s{index}", {"https": places.TLS_PORT}, places.DOMAIN)
            for index in range(SIZES[-1])
        )
        own.apply(services)
        pod = own.pod("node")
        for index in range(USED):
            url = f"http://s{index}:{places.TLS_PORT}/1k"
            own.outgate("exec", pod, "--", "curl", "-sSf", "-o", "/dev/null", url)
        used = processes.rss_mb([own.status()["egress"]["pid"]])
        return {
            "services": SIZES[-1],
            "used": USED,
            "empty_mb": round(empty),
            "rss_mb": round(used),
        }


@contextlib.contextmanager
def probing(own: Mesh, pod: str, folder: Path, *flags: str) -> Iterator[Process]:
    """Have the probe run in a pod; flags are those of `outgate exec`."""
    path = places.PROJECT / "bench" / "probe.py"
    program = (sys.executable, "-I", "-S", str(path), str(places.HTTP_PORT))
    command = own.command("exec", "-i", *flags, pod, "--", *program)
    with started(command, folder / "probe.log", settings=own.settings, talking=True) as process:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise BenchError("the probe does not start")
        yield process


def _changes(
    probe: Process, change: Callable[[dict[str, Any]], None], prefix: str, count: int
) -> Sequence[float]:
    services = {
        name: mesh.service(name, {"http": places.HTTP_PORT})
        for name in (f"{prefix}{index}" for index in range(count))
    }
    return list(allowed_after(probe, change, services))


def allowed_after(
    probe: Process, change: Callable[[dict[str, Any]], None], values: Mapping[str, dict[str, Any]]
) -> Iterator[float]:
    """Yield the milliseconds from each change's begin to the first call that it allows; values by the name to call."""
    if probe.stdin is None or probe.stdout is None:
        raise BenchError("the probe cannot be talked to")
    for name, value in values.items():
        probe.stdin.write(name + "\n")
        probe.stdin.flush()
        # It calls in vain meanwhile, as an application does that starts before its service is declared.
        time.sleep(0.02)
        began = time.monotonic()
        change(value)
        seen = float(probe.stdout.readline() or -1)
        if seen < began:
            raise BenchError(f"{name} was not allowed after it was declared")
        yield (seen - began) * 1000


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile, with one decimal."""
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1], 1)


def _configuration(folder: Path) -> int:
    """Return the size of all that a sidecar was told, without when, in which version, and its certificates."""
    socket = folder / "envoy-admin.sock"
    said = run("curl", "-sSf", "--unix-socket", str(socket), "http://localhost/config_dump")
    return len(json.dumps(_without(json.loads(said))))


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without(each)
            for key, each in value.items()
            if key not in ("last_updated", "version_info", "inline_bytes")
        }
    return [_without(each) for each in value] if isinstance(value, list) else value


def starting(folder: Path) -> dict[str, Any]:
    """Return how long `up` and a first command in a pod of its own take, in milliseconds."""
    ups: list[float] = []
    runs: list[float] = []
    own = Mesh(folder / "mesh", origin.ca_file(folder))
    for _ in range(5):
        ups.append(_timed(own, "up"))
        try:
            runs += [_timed(own, "run", "--", "true") for _ in range(6)]
        finally:
            own.outgate("down")
    run("rm", "-rf", str(folder / "mesh"))
    return {
        "up_p50_ms": round(statistics.median(ups)),
        "up_max_ms": round(max(ups)),
        "run_p50_ms": round(statistics.median(runs)),
        "run_max_ms": round(max(runs)),
    }


def _timed(own: Mesh, *words: str) -> float:
    began = time.monotonic()
    own.outgate(*words)
    return (time.monotonic() - began) * 1000
