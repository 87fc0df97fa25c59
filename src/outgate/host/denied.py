"""Writes what the firewall refused in a pod into the egress log, in the lines that Envoy writes for the rest."""

import asyncio
import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path

from outgate.errors import FirewallError
from outgate.firewall.nflog import Denied, NflogReader
from outgate.host.sandboxes import LOG_GROUP
from outgate.model.workloads import Workload

_log = logging.getLogger(__name__)

REASON = "only declared TCP services can be called: {protocol} is refused"


def line(denied: Denied, workload: Workload, trust_domain: str, now: datetime) -> bytes:
    """Return the log line of a refused packet."""
    host = f"[{denied.destination}]" if ":" in denied.destination else denied.destination
    address = host if denied.port is None else f"{host}:{denied.port}"
    fields = {
        "time": f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z",
        "pod": workload.name.name,
        "namespace": workload.name.namespace,
        "identity": workload.identity(trust_domain),
        "protocol": denied.protocol,
        "destination": address,
        "address": address,
        "decision": "denied",
        "reason": REASON.format(protocol=denied.protocol),
    }
    return json.dumps(fields).encode() + b"\n"


class DeniedLog:
    """The reader of one pod's refusals."""

    def __init__(self, path: Path, workload: Workload, trust_domain: str) -> None:
        """Read nothing yet."""
        self._path = path
        self._workload = workload
        self._trust_domain = trust_domain
        self._reader: NflogReader | None = None

    def start(self) -> None:
        """Begin to read; without the kernel's support denials stay denials, but are not logged."""
        try:
            self._reader = NflogReader(Path(self._workload.netns), LOG_GROUP)
        except FirewallError as error:
            _log.warning("refused packets of pod %s are not logged: %s", self._workload.name, error)
            return
        asyncio.get_running_loop().add_reader(self._reader.fileno(), self._read)

    def stop(self) -> None:
        """Read no longer."""
        if self._reader is not None:
            asyncio.get_running_loop().remove_reader(self._reader.fileno())
            # What was refused last, as the pod ended.
            self._read()
            self._reader.close()
            self._reader = None

    def _read(self) -> None:
        if self._reader is None:
            return
        now = datetime.now(UTC)
        lines = [
            line(each, self._workload, self._trust_domain, now) for each in self._reader.read()
        ]
        if not lines:
            return
        # One write a line, appended: Envoy writes to the same file.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            for each in lines:
                os.write(descriptor, each)
        finally:
            os.close(descriptor)
