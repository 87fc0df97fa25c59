"""What a call costs: through Outgate, and through an Envoy written by hand, by turns."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import load, mesh, origin, places, processes, static
from bench.load import Load
from bench.mesh import Mesh

ROUNDS = 12
SECONDS = 2.0
SERVICE = "origin"


@dataclass(slots=True)
class Way:
    """One way to the origin, and what was measured on it; `baseline` names the way it is compared with."""

    name: str
    ask: Callable[[float], Load]
    pids: Sequence[int]
    baseline: str = ""
    loads: list[Load] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def measure(self, seconds: float) -> None:
        """Load it once."""
        before = processes.cpu_seconds(self.pids)
        done = self.ask(seconds)
        used = processes.cpu_seconds(self.pids) - before
        self.loads.append(done)
        self.cpu.append(used / done.requests * 10_000)

    def row(self) -> dict[str, Any]:
        """Return the medians of the rounds."""
        return {
            "path": self.name,
            "requests_per_second": round(
                statistics.median(each.requests_per_second for each in self.loads)
            ),
            "p50_us": round(statistics.median(each.p50_us for each in self.loads)),
            "p99_us": round(statistics.median(each.p99_us for each in self.loads)),
            "cpu_seconds_per_10k": round(statistics.median(self.cpu), 3),
            "rss_mb": round(processes.rss_mb(self.pids)),
        }

    def compared_with(self, other: "Way") -> float:
        """Return the median, over the rounds, of this way's rate as a part of another's in the same round."""
        pairs = zip(self.loads, other.loads, strict=True)
        return statistics.median(
            mine.requests_per_second / its.requests_per_second for mine, its in pairs
        )


def measure(folder: Path) -> list[dict[str, Any]]:
    """Return a row for each way, those of Outgate with `of_static`: their rate as a part of their baseline's."""
    ca_file = origin.ca_file(folder)
    with static.running(folder, ca_file) as baseline, mesh.running(folder, ca_file) as own:
        own.apply(
            [
                mesh.service(
                    SERVICE, {"http": places.HTTP_PORT, "https": places.TLS_PORT}, places.DOMAIN
                ),
                mesh.service("raw", {"tcp": places.RAW_TLS_PORT}, places.DOMAIN),
            ]
        )
        # Each right after its baseline, so that what else the machine does meets both.
        ways = sorted(
            [*_static(baseline), *_captured(own)], key=lambda way: way.baseline or way.name
        )
        return compare(ways)


def compare(ways: Sequence[Way], rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Load each in turn, and return a row for each."""
    for each in ways:
        each.ask(1.0)
    for _ in range(rounds):
        for each in ways:
            each.measure(SECONDS)
    return _rows(ways)


def _rows(ways: Sequence[Way]) -> list[dict[str, Any]]:
    named = {each.name: each for each in ways}
    rows = []
    for each in ways:
        row = each.row()
        if each.baseline:
            row["of_static"] = round(each.compared_with(named[each.baseline]), 3)
        rows.append(row)
    return rows


def _static(pid: int) -> list[Way]:
    def way(name: str, scheme: str, port: int) -> Way:
        url = f"{scheme}://127.0.0.1:{port}/1k"
        prefix = static.inside()
        return Way(name, lambda seconds: load.wrk(prefix, url, seconds, host=places.DOMAIN), [pid])

    return [
        way("static Envoy, HTTP", "http", static.HTTP),
        way("static Envoy, opens TLS", "http", static.TLS),
        way("static Envoy, passes TLS through", "https", static.RAW),
    ]


def _captured(own: Mesh) -> list[Way]:
    node, aside = own.pod("node"), own.pod("aside", "--capture", "sidecar")
    egress = own.status()["egress"]["pid"]
    sidecar = processes.find(str(own.folder / "run" / "pods" / f"default.{aside}"), "envoy")

    def way(name: str, pod: str, url: str, baseline: str) -> Way:
        prefix = own.command("exec", pod, "--")
        pids = [egress] if pod == node else [egress, sidecar]
        return Way(
            name,
            lambda seconds: load.wrk(prefix, url, seconds, settings=own.settings),
            pids,
            baseline,
        )

    http, tls = f"http://{SERVICE}/1k", f"http://{SERVICE}:{places.TLS_PORT}/1k"
    raw = f"https://raw:{places.RAW_TLS_PORT}/1k"
    return [
        way("node capture, HTTP", node, http, "static Envoy, HTTP"),
        way("node capture, opens TLS", node, tls, "static Envoy, opens TLS"),
        way("node capture, passes TLS through", node, raw, "static Envoy, passes TLS through"),
        way("sidecar capture, HTTP", aside, http, "static Envoy, HTTP"),
        way("sidecar capture, opens TLS", aside, tls, "static Envoy, opens TLS"),
    ]
