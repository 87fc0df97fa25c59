"""gRPC: asked for its health as its protocol says, with and without TLS, also through a proxy."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.e2e.upstream.authorities import Authority
from tests.e2e.upstream.conftest import HOST, external

from outgate.traffic.references import Protocol
from outgate.traffic.upstream import Endpoint, Health, Pool, Probe, Tls, Upstream

pytestmark = pytest.mark.envoy

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"
"""grpc.health.v1.HealthCheckResponse, as bytes."""


class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Says its name, and how it is."""

    def __init__(self, name: str, status: bytes) -> None:
        self.name, self.status = name, status
        self.services: list[bytes] = []

    def service(self, details: Any) -> Any:
        async def answer(request: bytes, _context: Any) -> bytes:
            if details.method == "/grpc.health.v1.Health/Check":
                self.services.append(request)
                return self.status
            return self.name.encode()

        return grpc.unary_unary_rpc_method_handler(answer)


Open = Callable[..., Awaitable[tuple[Handler, Endpoint]]]


@pytest.fixture
async def server() -> AsyncIterator[Open]:
    made: list[grpc.aio.Server] = []

    async def start(
        name: str, status: bytes = SERVING, pair: tuple[Path, Path] | None = None
    ) -> tuple[Handler, Endpoint]:
        handler, server = Handler(name, status), grpc.aio.server()
        server.add_generic_rpc_handlers((handler,))
        if pair is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            chain, key = (each.read_bytes() for each in pair)
            port = server.add_secure_port(
                "127.0.0.1:0", grpc.ssl_server_credentials([(key, chain)])
            )
        await server.start()
        made.append(server)
        return handler, Endpoint("127.0.0.1", port)

    yield start
    for each in made:
        await each.stop(None)


async def call(egress: Any) -> str:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{egress.port}") as channel:
        method = channel.unary_unary("/test.Echo/Unary")
        said: bytes = await method(b"", metadata=(("x-cluster", HOST),), timeout=5)
    return said.decode()


@pytest.mark.parametrize("secure", [False, True])
async def test_who_does_not_serve_is_not_called(
    egress: Any, server: Open, authority: Authority, *, secure: bool
) -> None:
    pair = authority.issue(HOST) if secure else None
    good, one = await server("good", pair=pair)
    bad, other = await server("bad", NOT_SERVING, pair)
    health = Health(Probe.GRPC, service="echo", interval=0.2, timeout=1.0, unhealthy=1)
    tls = Tls() if secure else None
    said = Upstream(endpoints=(one, other), health=health, tls=tls)
    await egress.program(external(said, Protocol.GRPC))
    assert {await call(egress) for _ in range(6)} == {"good"}
    # grpc.health.v1.HealthCheckRequest: field 1, the service.
    assert good.services[0] == bad.services[0] == b"\x0a\x04echo"


async def test_http_2_has_limits_of_its_own(egress: Any, server: Open) -> None:
    _, one = await server("one")
    pool = Pool(concurrent_streams=1, stream_window=65535, connection_window=65535)
    await egress.program(external(Upstream(endpoints=(one,), pool=pool), Protocol.GRPC))
    assert await call(egress) == "one"
