"""What all features together cost: thousands of ExternalServices that use every kind of them, and a policy over all."""

import datetime
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import mesh, origin, places, processes, scale
from bench.commands import run
from bench.mesh import Mesh
from bench.tables import most, table

SIZES = (0, 5_000)
CHANGES, USED = 100, 100
BEHAVIOUR: dict[str, Any] = {
    "connection": {"connectTimeout": "5s", "maxRequestsPerConnection": 1000},
    "loadBalancing": {"algorithm": "LeastRequest"},
    "circuitBreaker": {"maxConnections": 100, "maxPendingRequests": 100, "maxRequests": 1000},
    "outlierDetection": {"consecutiveErrors": 5, "interval": "10s", "ejectionTime": "30s"},
    "timeouts": {"request": "30s", "idle": "1m"},
    "retries": {"attempts": 3, "retryOn": ["5xx", "reset"], "perTryTimeout": "5s"},
    "requestHeaders": {"set": {"x-team": "bench"}, "remove": ["x-debug"]},
    "responseHeaders": {"remove": ["server"]},
}
POLICY: dict[str, Any] = {
    "apiVersion": "outgate.dev/v1alpha1",
    "kind": "EgressPolicy",
    "metadata": {"name": "readers", "namespace": "default"},
    "spec": {
        "subject": {},
        "rules": [
            {
                "action": "Allow",
                "to": [{"host": f"*.{places.DOMAIN}"}],
                "http": [{"methods": ["GET"]}],
                "rateLimit": {"requests": 1_000_000, "per": "1s"},
            }
        ],
    },
}


def host(name: str) -> str:
    """Return the host that a service is called by."""
    return f"{name}.{places.DOMAIN}"


def plain(name: str, namespace: str = "default") -> dict[str, Any]:
    """Return an ExternalService that says only what it must."""
    return {
        "apiVersion": "outgate.dev/v1alpha1",
        "kind": "ExternalService",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "hosts": [host(name)],
            "ports": [{"name": "http", "port": places.HTTP_PORT, "protocol": "HTTP"}],
        },
    }


def service(name: str) -> dict[str, Any]:
    """Return an ExternalService with every kind of behaviour."""
    value = plain(name)
    value["spec"] |= BEHAVIOUR
    return value


def measure(folder: Path) -> dict[str, Any]:
    """Return when it was measured, and a row for each number of services."""
    now = datetime.datetime.now(datetime.UTC)
    return {"date": f"{now:%Y-%m-%d %H:%M} UTC", "rows": [_at(folder, size) for size in SIZES]}


def targets(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what is to be reached, what was, and whether that is enough."""
    largest = results["rows"][-1]
    return [most("all features: change at 5,000 services, p99 (ms)", largest["change_p99_ms"], 100)]


def tables(results: Mapping[str, Any]) -> Sequence[str]:
    """Return it as Markdown."""
    lines = [
        [
            f"{each['services']:,}",
            f"{each['change_p50_ms']} / {each['change_p99_ms']}",
            each["daemon_cpu_ms"],
            each["egress_cpu_ms"],
            f"{each['configuration_bytes'] / 1e6:.1f}",
            each["daemon_rss_mb"],
            each["egress_unused_rss_mb"],
            each["egress_rss_mb"],
        ]
        for each in results["rows"]
    ]
    head = (
        "services", "change p50 / p99 ms", "its CPU: daemon ms", "egress Envoy ms", "egress' configuration, MB of JSON",
        "daemon MB", "egress Envoy MB, none called", f"{USED} called",
    )  # fmt: skip
    return "### All features at once", f"Measured {results['date']}.", table(head, lines)


def _at(folder: Path, size: int) -> dict[str, Any]:
    with mesh.running(folder, origin.ca_file(folder)) as own:
        # By the command, which refuses what is wrong.
        own.apply([POLICY, *(service(f"s{index}") for index in range(max(size, 1)))])
        pod = own.pod("node")
        unused = processes.rss_mb([own.status()["egress"]["pid"]])
        with scale.probing(own, pod, folder) as probe:
            values = {host(f"c{index}"): service(f"c{index}") for index in range(CHANGES)}
            changes = list(scale.allowed_after(probe, own.write, values))
        daemon_ms, egress_ms = _cpu_of_changes(own)
        for index in range(min(size, USED)):
            _call(own, pod, f"s{index}")
        status = own.status()
        return {
            "services": size,
            "change_p50_ms": round(statistics.median(changes), 1),
            "change_p99_ms": scale.percentile(changes, 99),
            "daemon_cpu_ms": daemon_ms,
            "egress_cpu_ms": egress_ms,
            "configuration_bytes": _configuration(own),
            "daemon_rss_mb": round(processes.rss_mb([status["pid"]])),
            "egress_unused_rss_mb": round(unused),
            "egress_rss_mb": round(processes.rss_mb([status["egress"]["pid"]])),
        }


def _cpu_of_changes(own: Mesh) -> tuple[float, float]:
    """Return the CPU time (ms) that a change to one service costs the daemon and the egress Envoy. Nobody calls."""
    status = own.status()
    pids = status["pid"], status["egress"]["pid"]
    before = [processes.cpu_seconds([each]) for each in pids]
    for index in range(CHANGES):
        value = service("c0")
        value["spec"]["timeouts"] = {"request": f"{10 + index}s"}
        own.write(value)
    after = [processes.cpu_seconds([each]) for each in pids]
    daemon, egress = (
        round((then - now) * 1000 / CHANGES, 1) for then, now in zip(after, before, strict=True)
    )
    return daemon, egress


def _call(own: Mesh, pod: str, name: str) -> None:
    own.outgate("exec", pod, "--", "curl", "-sSf", "-o", "/dev/null", f"http://{host(name)}/1k")


def _configuration(own: Mesh) -> int:
    """Return the size (bytes of JSON) of all that the egress Envoy holds."""
    socket = own.folder / "run" / "envoy-admin.sock"
    return len(run("curl", "-sSf", "--unix-socket", str(socket), "http://localhost/config_dump"))
