"""The forms of a report: targets, and tables in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any


def least(name: str, found: float, wanted: float) -> dict[str, Any]:
    """Return a target that is met from `wanted` on."""
    return {
        "target": name,
        "wanted": f"at least {wanted:g}",
        "found": found,
        "met": found >= wanted,
    }


def most(name: str, found: float, wanted: float) -> dict[str, Any]:
    """Return a target that is met up to `wanted`."""
    return {"target": name, "wanted": f"at most {wanted:g}", "found": found, "met": found <= wanted}


def paths(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write what calls cost on each way."""
    lines = [
        [
            each["path"],
            f"{each['requests_per_second']:,}",
            each.get("of_static", ""),
            each["p50_us"],
            each["p99_us"],
            each["cpu_seconds_per_10k"],
            each["rss_mb"],
        ]
        for each in rows
    ]
    head = ("path", "requests/s", "of static", "p50 us", "p99 us", "CPU s per 10k", "RSS MB")
    return table(head, lines)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Write a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(each) for each in line) + " |" for line in lines)
