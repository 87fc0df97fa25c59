"""A rate-limit service that is there already counts calls: gRPC, by Envoy's protocol, on a socket of this machine."""

import concurrent.futures
from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from envoy.service.ratelimit.v3 import rls_pb2, rls_pb2_grpc
from tests.e2e.mesh.conftest import Mesh
from tests.e2e.mesh.saying import policy, service
from tests.e2e.mesh.spaces import Space
from tests.outside.control import Outside

pytestmark = [pytest.mark.root, pytest.mark.envoy]

LIMIT = 2


class Counting(rls_pb2_grpc.RateLimitServiceServicer):  # type: ignore[misc]
    """Two calls for each domain and descriptor, for all time."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()

    def ShouldRateLimit(self, request: Any, _context: Any) -> Any:  # noqa: N802
        (descriptor,) = request.descriptors
        (each,) = descriptor.entries
        key = f"{request.domain} {each.key}={each.value}"
        self.counted[key] += 1
        answer = rls_pb2.RateLimitResponse
        over = self.counted[key] > LIMIT
        return answer(overall_code=answer.OVER_LIMIT if over else answer.OK)


@pytest.fixture
def counting(stopped_mesh: Mesh) -> Iterator[tuple[Counting, grpc.Server]]:
    """The service, with a mesh that asks it."""
    service = Counting()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    rls_pb2_grpc.add_RateLimitServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    stopped_mesh.environment["OUTGATE_RATE_LIMIT_SERVICE"] = f"127.0.0.1:{port}"
    stopped_mesh.up()
    yield service, server
    server.stop(0).wait()


def counted(tier: str) -> str:
    limit = {"domain": "shop", "descriptors": {"tier": tier}}
    echo = {"to": [{"service": "echo"}], "globalRateLimit": limit}
    return policy("p", echo, {"to": [{"service": "free"}]})


def test_a_limit_that_another_service_counts(
    stopped_mesh: Mesh, counting: tuple[Counting, grpc.Server], outside: Outside
) -> None:
    asked, server = counting
    outside.open("web")
    space = Space(stopped_mesh, "limited")
    space.apply(service("echo", "echo.test"), service("free", "ws.test"), counted("gold"))
    try:
        assert [space.call("http://echo/").status for _ in range(3)] == [200, 200, 429]
        assert asked.counted == {"shop tier=gold": 3}
        # What the rule does not count is not asked about.
        assert space.call("http://free/").status == 200
        assert asked.counted.total() == 3
        space.apply(counted("lead"))
        assert space.call("http://echo/").status == 200
        # While nobody counts nothing that is counted is called.
        server.stop(0).wait()
        assert space.call("http://echo/").status == 503
        assert space.call("http://free/").status == 200
    finally:
        space.end()
