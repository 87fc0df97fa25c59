"""A proxy on the way: it is asked for names, and sees no more than an endpoint of the destination's may."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.e2e.upstream.conftest import HOST, WILD, external, leading, manager, program

from outgate.internet.zone import Zone
from outgate.traffic.references import Protocol
from outgate.traffic.upstream import Endpoint, Health, Probe, Proxy, ProxyKind, Tls, Upstream
from outgate.xds import naming
from outgate.xds.building import typed

pytestmark = [pytest.mark.envoy, pytest.mark.root]


@dataclass
class Relay:
    """A proxy that leads all names to ports of this machine, and refuses those it does not know."""

    routes: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head.splitlines()[0])
        name = head.split()[1]
        if name not in self.routes:
            writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            writer.close()
            return
        there, to = await asyncio.open_connection("127.0.0.1", self.routes[name])
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(pump(reader, to), pump(there, writer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    made = Relay()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


@pytest.fixture(params=["127.0.0.1", "proxy.example.com"])
def by(request: pytest.FixtureRequest, relay: Relay, zone: Zone) -> Callable[..., Upstream]:
    """A proxy that is known by its address, and by its name."""
    zone.set("proxy.example.com", "A", ["127.0.0.1"], 60)

    def upstream(**fields: Any) -> Upstream:
        return Upstream(proxy=Proxy(ProxyKind.HTTP, request.param, relay.port), **fields)

    return upstream


async def test_the_proxy_is_asked_for_the_name(
    egress: Any, place: Any, relay: Relay, by: Any
) -> None:
    a = await place("a").open()
    relay.routes[f"{HOST}:8080"] = a.port
    await egress.program(external(by(), number=80, target=8080))
    assert (await egress.get()).body == "a"
    assert relay.asked == [f"CONNECT {HOST}:8080 HTTP/1.1"]
    assert "x-outgate" not in a.requests[0]


async def test_tls_is_with_the_destination(
    egress: Any, place: Any, relay: Relay, by: Any, authority: Any
) -> None:
    good = await place("good").open(authority.server(HOST))
    relay.routes[f"{HOST}:443"] = good.port
    await egress.program(external(by(), Protocol.HTTPS, number=443))
    assert (await egress.get()).body == "good"
    wrong = await place("wrong").open(authority.server("other.example.com"))
    relay.routes[f"{HOST}:443"] = wrong.port
    await egress.program(external(by(tls=Tls(maximum="1.2")), Protocol.HTTPS, number=443))
    assert (await egress.get()).status == 503


SIZE = 5_000_000


@pytest.fixture
async def sender() -> AsyncIterator[int]:
    """A server that sends as much, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"send\n"
        writer.write(b"x" * SIZE)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def received(port: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"send\n")
    got = 0
    while data := await reader.read(1 << 20):
        got += len(data)
    writer.close()
    return got


async def test_plain_tcp_to_the_last_byte(egress: Any, relay: Relay, by: Any, sender: int) -> None:
    relay.routes[f"{HOST}:22"] = sender
    await egress.program(external(by(), Protocol.TCP, number=22))
    port = await egress.tcp(HOST)
    assert [await received(port) for _ in range(5)] == [SIZE] * 5


def asked(name: str) -> dict[str, Any]:
    """An action that says where a call to a wildcard is to go."""
    return {
        "object_key": naming.STATE_ASKED,
        "factory_key": "envoy.hashable_string",
        "format_string": {"text_format_source": {"inline_string": name}},
        "shared_with_upstream": "TRANSITIVE",
    }


async def test_what_is_passed_on_for_a_wildcard_to_the_last_byte(
    egress: Any, relay: Relay, by: Any, sender: int
) -> None:
    relay.routes["a.example.com:443"] = sender
    await egress.program(external(by(), Protocol.TLS, WILD, 443))
    state = typed(
        "extensions.filters.network.set_filter_state.v3.Config",
        on_new_connection=[asked("a.example.com:443")],
    )
    proxy = typed("extensions.filters.network.tcp_proxy.v3.TcpProxy", stat_prefix="t", cluster=WILD)
    port = await egress.listen(
        {"name": "envoy.filters.network.set_filter_state", "typed_config": state},
        {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy},
    )
    assert [await received(port) for _ in range(20)] == [SIZE] * 20


async def test_what_the_proxy_refuses_fails(egress: Any, relay: Relay, by: Any) -> None:
    await egress.program(external(by()))
    assert (await egress.get()).status == 503
    assert relay.asked


async def test_endpoints_behind_it_have_their_health_and_priority(
    egress: Any, place: Any, relay: Relay, by: Any
) -> None:
    a, b = await place("a").open(), await place("b").open()
    relay.routes |= {"a.example.com:80": a.port, "b.example.com:80": b.port}
    ends = (Endpoint("a.example.com"), Endpoint("b.example.com", priority=1))
    health = Health(Probe.HTTP, interval=0.1, timeout=0.5, unhealthy=1)
    await egress.program(external(by(endpoints=ends, health=health)))
    await egress.until(lambda answer: answer.body == "a")
    del relay.routes["a.example.com:80"]
    a.status = 500
    await egress.until(lambda answer: answer.body == "b")


async def test_the_proxy_is_asked_for_what_a_wildcards_call_is_for(
    egress: Any, place: Any, relay: Relay, by: Any, authority: Any
) -> None:
    a = await place("a").open(authority.server("a.example.com"))
    b = await place("b").open(authority.server("b.example.com"))
    relay.routes |= {"a.example.com:443": a.port, "b.example.com:443": b.port}
    relay.routes["wrong.example.com:443"] = a.port
    await egress.program(external(by(), Protocol.HTTPS, WILD, 443))
    config = typed(
        "extensions.filters.http.set_filter_state.v3.Config",
        on_request_headers=[asked("%REQ(:AUTHORITY)%:443")],
    )
    name = "envoy.filters.http.set_filter_state"
    port = await egress.listen(manager({"name": name, "typed_config": config}))
    for host, said in (("a", "a"), ("b", "b"), ("a", "a")):
        answer = await egress.get(WILD, host=f"{host}.example.com", port=port)
        assert answer.body == said
    assert (await egress.get(WILD, host="wrong.example.com", port=port)).status == 503
    assert (await egress.get(WILD, host="none.example.com", port=port)).status == 503


async def test_what_stands_in_for_another_may_be_behind_it(
    egress: Any, place: Any, relay: Relay, by: Any
) -> None:
    a, b = await place("a").open(), await place("b").open()
    relay.routes |= {"a.test:8080": a.port, "b.test:8080": b.port}
    others = (external(by(), host=host, target=8080) for host in ("a.test", "b.test"))
    service, name = leading(external(Upstream()), *others)
    await program(egress, service)
    await egress.until(lambda answer: answer.body == "a", name)
    a.status = 503
    await egress.until(lambda answer: answer.body == "b", name)


async def test_a_kind_that_envoy_cannot_speak_leads_nowhere(
    egress: Any, place: Any, relay: Relay
) -> None:
    a = await place("a").open()
    proxy = Proxy(ProxyKind.SOCKS5, "127.0.0.1", relay.port)
    said = Upstream(endpoints=(Endpoint("127.0.0.1", a.port),), proxy=proxy)
    await egress.program(external(said))
    assert (await egress.get()).status == 503
    assert not relay.asked
    assert not a.requests
