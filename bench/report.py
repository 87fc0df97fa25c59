"""Writes results as tables: what was measured, and whether it is what was to be reached."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- results: made by `make bench` -->", "<!-- end of results -->"


def targets(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what is to be reached, what was, and whether that is enough."""
    paths = {each["path"]: each for each in results["data_path"]}
    sizes = {each["services"]: each for each in results["scale"]}
    started = results["starting"]
    told = {each["sidecar_configuration_bytes"] for each in results["scale"]}
    return [
        _least("node capture, HTTP, as a part of the static Envoy", _rate(paths, "node capture, HTTP"), 0.95),
        _least("sidecar capture, HTTP, as a part of the static Envoy", _rate(paths, "sidecar capture, HTTP"), 0.6),
        _most("change at 1,000 services, p99 (ms)", sizes[1000]["change_p99_ms"], 50),
        _most("change at 5,000 services, p99 (ms)", sizes[5000]["change_p99_ms"], 100),
        _most("`outgate up` to ready, median (ms)", started["up_p50_ms"], 1500),
        _most("`outgate run -- true`, median (ms)", started["run_p50_ms"], 200),
        _most("sizes of a sidecar's configuration over all numbers of services", len(told), 1),
        _most("egress Envoy with 5,000 HTTPS services, 10 of them used (MB)", results["https"]["rss_mb"], 150),
    ]  # fmt: skip


def _rate(paths: Mapping[str, Any], name: str) -> float:
    return float(paths[name]["of_static"])


def _least(name: str, found: float, wanted: float) -> dict[str, Any]:
    return {
        "target": name,
        "wanted": f"at least {wanted:g}",
        "found": found,
        "met": found >= wanted,
    }


def _most(name: str, found: float, wanted: float) -> dict[str, Any]:
    return {"target": name, "wanted": f"at most {wanted:g}", "found": found, "met": found <= wanted}


def tables(results: Mapping[str, Any]) -> str:
    """Return all of it as Markdown."""
    machine = results["machine"]
    reached = [
        [each["target"], each["wanted"], each["found"], "yes" if each["met"] else "**no**"]
        for each in results["targets"]
    ]
    paths = [
        [
            each["path"],
            f"{each['requests_per_second']:,}",
            each.get("of_static", ""),
            each["p50_us"],
            each["p99_us"],
            each["cpu_seconds_per_10k"],
            each["rss_mb"],
        ]
        for each in results["data_path"]
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
            _table(("to reach", "wanted", "found", "met"), reached),
            _table(("path", "requests/s", "of static", "p50 us", "p99 us", "CPU s per 10k", "RSS MB"), paths),
            _table(
                (
                    "services", "change p50 / p99 ms", "`outgate apply` p50 / p99 ms", "daemon MB", "egress Envoy MB",
                    "sidecar MB", "sidecar's configuration, bytes",
                ),
                sizes,
            ),
            _table(("command", "median ms", "longest ms"), starts),
        )
    )  # fmt: skip


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(each) for each in line) + " |" for line in lines)


def update(document: Path, text: str) -> None:
    """Replace the results in a document."""
    before, _, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    document.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
