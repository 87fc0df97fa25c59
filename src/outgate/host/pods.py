"""What is known of each pod, as a value that is written down, so that the next daemon can go on with it."""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from outgate.errors import UsageError
from outgate.model.names import Name
from outgate.model.workloads import Capture, Workload
from outgate.resources.names import dns_label, label_value, qualified_name


@dataclass(frozen=True, slots=True)
class Process:
    """A process, and when it started in clock ticks, so that no other with its number is taken for it."""

    pid: int
    started: int


@dataclass(frozen=True, slots=True)
class Pod:
    """A sandbox on this machine; `include` are CIDRs, `exit_status` that of its command once it ended."""

    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    service_account: str = "default"
    include: tuple[str, ...] = ()
    capture: str = Capture.NODE.value
    command: tuple[str, ...] = ()
    created: str = ""
    init: Process | None = None
    owner: Process | None = None
    main: Process | None = None
    link: int | None = None
    exit_status: int | None = None

    @property
    def key(self) -> Name:
        """Its namespace and name."""
        return Name(self.namespace, self.name)

    @property
    def phase(self) -> str:
        """Kubernetes's phase of it."""
        if self.exit_status is None:
            return "Running" if self.init else "Pending"
        return "Succeeded" if self.exit_status == 0 else "Failed"

    def workload(self, netns: Path) -> Workload:
        """Return what the model knows of it."""
        return Workload(
            self.key,
            str(netns),
            self.service_account,
            MappingProxyType(dict(self.labels)),
            Capture(self.capture),
            tuple(ipaddress.ip_network(each) for each in self.include),
        )

    def manifest(self, identity: str) -> dict[str, Any]:
        """Return it as Kubernetes would show it, for `get` and `describe`."""
        running = self.phase == "Running"
        state: dict[str, Any] = {"running": {"startedAt": self.created}}
        if self.exit_status is not None:
            state = {"terminated": {"exitCode": self.exit_status}}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": dict(self.labels),
                "annotations": {
                    "outgate.dev/capture": self.capture,
                    "outgate.dev/identity": identity,
                }
                | ({"outgate.dev/includeIPRanges": ",".join(self.include)} if self.include else {}),
                "creationTimestamp": self.created,
            },
            "spec": {
                "serviceAccountName": self.service_account,
                "containers": [{"name": self.name, "command": list(self.command)}],
            },
            "status": {
                "phase": self.phase,
                "containerStatuses": [
                    {"name": self.name, "ready": running, "restartCount": 0, "state": state}
                ],
            },
        }

    def dump(self) -> bytes:
        """Write it down."""
        return json.dumps(asdict(replace(self, labels=dict(self.labels)))).encode()


def load(data: bytes) -> Pod:
    """Read what `dump` wrote; ValueError, KeyError or TypeError where it is not that."""
    value = json.loads(data)
    for name in ("init", "owner", "main"):
        value[name] = Process(**value[name]) if value[name] else None
    for name in ("include", "command"):
        value[name] = tuple(value[name])
    return Pod(**value)


def request(value: Mapping[str, Any], capture: str) -> Pod:
    """Make a pod from what a command asked for; UsageError names the flag that is wrong."""
    for flag, text in (("--name", value["name"]), ("--namespace", value["namespace"])):
        if flaw := dns_label(text):
            raise UsageError(f"{flag} {text!r}: {flaw.message}", hint=flaw.hint)
    for key, text in value.get("labels", {}).items():
        if flaw := qualified_name(key) or label_value(text):
            raise UsageError(f"--labels {key}={text}: {flaw.message}", hint=flaw.hint)
    owner = value.get("owner")
    return Pod(
        value["namespace"],
        value["name"],
        MappingProxyType(dict(value.get("labels", {}))),
        value.get("service_account") or "default",
        tuple(value.get("include", ())),
        value.get("capture") or capture,
        tuple(value.get("command", ())),
        datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        owner=Process(*owner) if owner else None,
    )
