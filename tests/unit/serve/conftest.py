"""A proxy without a socket, short folders for Unix sockets, and servers that are stopped."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path

import pytest

from outgate.serve.peers import by_name
from outgate.serve.publishing import Publisher
from outgate.serve.server import Server
from outgate.serve.subscription import Request, Response, Subscription
from outgate.xds.snapshot import Resource, Snapshot

TYPE = "type.googleapis.com/envoy.config.cluster.v3.Cluster"


class Proxy:
    """A proxy that subscribes to one type of a snapshot which changes."""

    def __init__(self, *resources: Resource) -> None:
        self.snapshot = Snapshot().replace(resources)
        self.revision = 1
        self.subscription = Subscription(TYPE)

    def says(self, **words: object) -> Response | None:
        self.subscription.receive(Request(**words), self.snapshot)  # type: ignore[arg-type]
        return self.next()

    def next(self, *, hold_removals: bool = False) -> Response | None:
        return self.subscription.next(self.snapshot, self.revision, hold_removals=hold_removals)

    def change(self, *resources: Resource, removed: Iterable[str] = ()) -> Response | None:
        gone = tuple(removed)
        self.snapshot = self.snapshot.replace(resources, ((TYPE, name) for name in gone))
        self.revision += 1
        self.subscription.change([*(each.name for each in resources), *gone])
        return self.next()

    def accepts(self, response: Response | None) -> Response | None:
        assert response is not None
        return self.says(nonce=response.nonce)

    def refuses(self, response: Response | None, error: str) -> Response | None:
        assert response is not None
        return self.says(nonce=response.nonce, error=error)

    def refused(self) -> list[str]:
        return [name for each in self.subscription.refusals() for name in each.names]


@pytest.fixture
def connect() -> type[Proxy]:
    return Proxy


@pytest.fixture
def folder() -> Iterator[Path]:
    # pytest's own folders are too long for a Unix socket's 107 bytes.
    path = Path(tempfile.mkdtemp(prefix="outgate-serve-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
async def serve(
    folder: Path, publisher: Publisher
) -> AsyncIterator[Callable[[], Awaitable[Server]]]:
    """Start a server at `xds.sock` that knows proxies whose names begin with `known`."""
    servers: list[Server] = []

    async def start() -> Server:
        server = Server(by_name(lambda node: publisher if node.startswith("known") else None))
        server.listen_unix(folder / "xds.sock")
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()
