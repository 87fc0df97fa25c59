"""Writes what was measured in Kubernetes as tables, and what was to be reached there."""

from collections.abc import Mapping
from typing import Any

from bench.tables import least, most, paths, table


def targets(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what is to be reached, what was, and whether that is enough."""
    ways = {each["path"]: each for each in found["data_path"]}
    return [
        least(
            "in Kubernetes: sidecar and egress, HTTP, as a part of the static Envoy",
            float(ways["sidecar and egress"]["of_static"]),
            0.6,
        ),
        most("in Kubernetes: the webhook, p99 (ms)", found["webhook"]["webhook_p99_ms"], 20),
        most(
            "in Kubernetes: the last of 1,000 Services, callable after it is made (ms)",
            found["services"]["behind_ms"],
            2000,
        ),
        most(
            "in Kubernetes: controller with 1,000 Services (MB)",
            found["services"]["controller_rss_mb"],
            200,
        ),
    ]


def tables(found: Mapping[str, Any]) -> list[str]:
    """Return all of it as Markdown."""
    start, asked, many = found["starting"], found["webhook"], found["services"]
    pods = [
        ["a pod, from made to ready", f"{start['injected_s']} s", f"{start['plain_s']} s"],
        [
            "a pod's admission by the API server, p50 / p99",
            f"{asked['injected_p50_ms']} / {asked['injected_p99_ms']} ms",
            f"{asked['plain_p50_ms']} / {asked['plain_p99_ms']} ms",
        ],
        [
            "the webhook by itself, p50 / p99",
            f"{asked['webhook_p50_ms']} / {asked['webhook_p99_ms']} ms",
            "",
        ],
        ["reviews that one controller answers", f"{asked['reviews_per_second']:,} a second", ""],
        ["an idle sidecar's RSS", f"{start['sidecar_rss_mb']} MB", ""],
    ]
    services = [
        ["`kubectl create` of them all", f"{many['made_s']} s"],
        ["the last can be called, from the beginning", f"{many['callable_s']} s"],
        ["... after `kubectl` has ended", f"{many['behind_ms']} ms"],
        ["one call that deletes them all, until none can be called", f"{many['ended_s']} s"],
        ["CPU of the controller", f"{many['controller_cpu_s']} s"],
        ["RSS of the controller", f"{many['controller_rss_mb']} MB"],
        ["RSS of the egress Envoy", f"{many['egress_rss_mb']} MB"],
        ["requests to the API server", f"{many['api_calls']:,}"],
    ]
    return [
        "### In Kubernetes",
        paths(found["data_path"]),
        table(("", "with capture", "without"), pods),
        table((f"{many['services']:,} Services at once", ""), services),
    ]
