"""Writes results as tables: what was measured, and whether it is what was to be reached."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import clusters, features, policies
from bench.tables import least, most, paths, table

BEGIN, END = "<!-- results: made by `make bench` -->", "<!-- end of results -->"


def targets(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what is to be reached, what was, and whether that is enough."""
    ways = {each["path"]: each for each in results["data_path"]}
    kubernetes = results.get("kubernetes")
    sizes = {each["services"]: each for each in results["scale"]}
    started = results["starting"]
    told = {each["sidecar_configuration_bytes"] for each in results["scale"]}
    return [
        least("node capture, HTTP, as a part of the static Envoy", _rate(ways, "node capture, HTTP"), 0.95),
        least("sidecar capture, HTTP, as a part of the static Envoy", _rate(ways, "sidecar capture, HTTP"), 0.6),
        most("change at 1,000 services, p99 (ms)", sizes[1000]["change_p99_ms"], 50),
        most("change at 5,000 services, p99 (ms)", sizes[5000]["change_p99_ms"], 100),
        most("`outgate up` to ready, median (ms)", started["up_p50_ms"], 1500),
        most("`outgate run -- true`, median (ms)", started["run_p50_ms"], 200),
        most("sizes of a sidecar's configuration over all numbers of services", len(told), 1),
        most("egress Envoy with 5,000 HTTPS services, 10 of them used (MB)", results["https"]["rss_mb"], 150),
        *(features.targets(results["features"]) if results.get("features") else ()),
        *(policies.targets(results["policies"]) if results.get("policies") else ()),
        *(clusters.targets(kubernetes) if kubernetes else ()),
    ]  # fmt: skip


def _rate(ways: Mapping[str, Any], name: str) -> float:
    return float(ways[name]["of_static"])


def tables(results: Mapping[str, Any]) -> str:
    """Return all of it as Markdown."""
    machine = results["machine"]
    reached = [
        [each["target"], each["wanted"], each["found"], "yes" if each["met"] else "**no**"]
        for each in results["targets"]
    ]
    sizes = [
        [
            f"{each['services']:,}",
            f"{each['change_p50_ms']} / {each['change_p99_ms']}",
            f"{each['command_p50_ms']} / {each['command_p99_ms']}",
            each["daemon_rss_mb"],
            each["egress_rss_mb"],
            each["sidecar_rss_mb"],
            f"{each['sidecar_configuration_bytes']:,}",
        ]
        for each in results["scale"]
    ]
    start = results["starting"]
    starts = [
        ["`outgate up`", start["up_p50_ms"], start["up_max_ms"]],
        ["`outgate run -- true`", start["run_p50_ms"], start["run_max_ms"]],
    ]
    return "\n\n".join(
        (
            f"Measured {machine['date']} on {machine['cores']} cores ({machine['processor']}),"
            f" {machine['memory_gb']} GB, Linux {machine['kernel']},"
            f" Envoy {machine['envoy']}, Python {machine['python']}.",
            table(("to reach", "wanted", "found", "met"), reached),
            paths(results["data_path"]),
            table(
                (
                    "services", "change p50 / p99 ms", "`outgate apply` p50 / p99 ms", "daemon MB", "egress Envoy MB",
                    "sidecar MB", "sidecar's configuration, bytes",
                ),
                sizes,
            ),
            table(("command", "median ms", "longest ms"), starts),
            *(features.tables(results["features"]) if results.get("features") else ()),
            *(policies.tables(results["policies"]) if results.get("policies") else ()),
            *(clusters.tables(results["kubernetes"]) if results.get("kubernetes") else ()),
        )
    )  # fmt: skip


def update(document: Path, text: str) -> None:
    """Replace the results in a document."""
    before, _, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    document.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
