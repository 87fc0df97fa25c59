"""The Envoys of the local mesh: the egress's, and one in each pod that is captured by a sidecar."""

import json
from dataclasses import dataclass
from pathlib import Path

from outgate.envoy import binary, bootstrap
from outgate.envoy.admin import Admin
from outgate.envoy.bootstrap import Bootstrap
from outgate.envoy.launching import Account, Launch
from outgate.envoy.process import stop_recorded
from outgate.envoy.supervisor import Supervisor
from outgate.host.plan import Layout
from outgate.host.store import write_atomically
from outgate.model.names import Name

EGRESS = "egress"
_EGRESS_CAPABILITIES = ("net_admin", "sys_admin")
"""To mark its sockets, and to open listeners in pods' namespaces."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """One Envoy with what supervises it."""

    node: str
    supervisor: Supervisor
    admin: Admin
    launch: Launch


def sidecar_node(pod: Name) -> str:
    """Return the node id of a pod's sidecar."""
    return f"sidecar~{pod}"


def egress(layout: Layout) -> Proxy:
    """Return the egress Envoy, not started yet."""
    return _proxy(layout, EGRESS, layout.run, None, layout.settings.envoy_concurrency)


def sidecar(layout: Layout, pod: Name) -> Proxy:
    """Return a pod's sidecar, not started yet: in the pod's network namespace, outside of all others of it."""
    return _proxy(layout, sidecar_node(pod), layout.pod(pod), layout.netns(pod), 1)


def _proxy(layout: Layout, node: str, folder: Path, netns: Path | None, workers: int) -> Proxy:
    settings = layout.settings
    found = binary.locate(settings.envoy, cache=layout.run / "envoy-version.json")
    admin = folder / "envoy-admin.sock"
    options = Bootstrap(
        *(node, EGRESS, str(layout.xds), str(admin)),
        settings.max_connections,
        settings.envoy_heap_megabytes << 20,
        node == EGRESS,
    )
    file = folder / "envoy.json"
    write_atomically(file, json.dumps(bootstrap.render(options), indent=1).encode())
    settings.log_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    launch = Launch(
        binary=found.path,
        bootstrap=file,
        log_file=settings.log_dir / f"envoy-{node}.log",
        directory=layout.run,
        concurrency=workers,
        drain_seconds=settings.drain_seconds,
        log_level="warning",
        account=Account(0, 0, () if netns else _EGRESS_CAPABILITIES),
        netns=netns,
    )
    client = Admin(admin)
    return Proxy(node, Supervisor(launch, client, folder / "envoy.pid.json"), client, launch)


async def stop_left(layout: Layout) -> None:
    """Stop the egress Envoy that a daemon that was killed has left running."""
    record = layout.run / "envoy.pid.json"
    admin = Admin(layout.run / "envoy-admin.sock")
    await stop_recorded(record, admin, layout.settings.drain_seconds)
