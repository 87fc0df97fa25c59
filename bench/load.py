"""Loads an HTTP server with wrk and reads what it measured."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bench.commands import BenchError, run

CONNECTIONS = 16
_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk measured; latencies in microseconds."""

    requests: int
    requests_per_second: float
    p50_us: float
    p99_us: float


def wrk(
    prefix: Sequence[str],
    url: str,
    seconds: float,
    *,
    host: str = "",
    settings: dict[str, str] | None = None,
) -> Load:
    """Ask for `url` over and over on kept-alive connections; BenchError unless every answer is as it should be."""
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--latency"]
    words += ["-H", f"Host: {host}", url] if host else [url]
    said = run(*prefix, *words, settings=settings, seconds=seconds + 60)
    if "Non-2xx" in said or "Socket errors" in said:
        raise BenchError(f"{url}: {said}")
    return Load(
        int(_find(r"(\d+) requests in", said)),
        float(_find(r"Requests/sec:\s+([\d.]+)", said)),
        _microseconds(_find(r"^\s+50%\s+(\S+)$", said)),
        _microseconds(_find(r"^\s+99%\s+(\S+)$", said)),
    )


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise BenchError(f"wrk said something else than expected: {text}")
    return found.group(1)


def _microseconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s)", text)
    if found is None:
        raise BenchError(f"{text!r} is not a time as wrk writes it")
    return float(found.group(1)) * _UNITS[found.group(2)]
