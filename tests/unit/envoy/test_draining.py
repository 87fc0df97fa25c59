import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from outgate.envoy.admin import Admin
from outgate.envoy.draining import drain
from outgate.envoy.launching import Launch
from outgate.envoy.process import start

pytestmark = pytest.mark.envoy

Ready = Callable[[], Awaitable[None]]


async def _port(admin: Admin, name: str) -> int:
    for listener in await admin.listeners():
        if listener["name"] == name:
            return int(listener["local_address"]["socket_address"]["port_value"])
    raise AssertionError(name)


@pytest.fixture
async def upstream() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A server that answers once the event is set."""
    answer = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        await answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], answer


async def test_a_drain_lets_an_open_request_finish(
    until_ready: Ready,
    launch: Launch,
    pid_file: Path,
    admin: Admin,
    upstream: tuple[int, asyncio.Event],
    write_bootstrap: Callable[..., Path],
) -> None:
    port, answer = upstream
    write_bootstrap(port)
    process = start(launch, pid_file)
    await until_ready()
    url = f"http://127.0.0.1:{await _port(admin, 'http')}"
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        async with session.get(f"{url}/idle") as response:
            assert response.status == 200
        request = tasks.create_task(_get(session, f"{url}/up"))
        await asyncio.sleep(0.1)
        draining = tasks.create_task(drain(process.exited, admin, 10))
        await asyncio.sleep(0.3)
        assert not draining.done()
        answer.set()
        assert await request == (200, "done", "close")
        async with asyncio.timeout(1):
            await draining


async def _get(session: aiohttp.ClientSession, url: str) -> tuple[int, str, str]:
    async with session.get(url) as response:
        return response.status, await response.text(), response.headers["connection"]


async def test_a_drain_waits_for_tcp_too_but_not_for_ever(
    until_ready: Ready,
    launch: Launch,
    pid_file: Path,
    admin: Admin,
    upstream: tuple[int, asyncio.Event],
    write_bootstrap: Callable[..., Path],
) -> None:
    write_bootstrap(upstream[0])
    process = start(launch, pid_file)
    await until_ready()
    reader, writer = await asyncio.open_connection("127.0.0.1", await _port(admin, "tcp"))
    writer.write(b"x")
    await asyncio.sleep(0.1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await drain(process.exited, admin, 0.5)
    assert 0.4 < loop.time() - began < 2
    upstream[1].set()
    assert await reader.read()
    writer.close()


async def test_idle_connections_do_not_hold_up_a_drain(
    until_ready: Ready, launch: Launch, pid_file: Path, admin: Admin
) -> None:
    process = start(launch, pid_file)
    await until_ready()
    url = f"http://127.0.0.1:{await _port(admin, 'http')}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.headers.get("connection") != "close"
        async with asyncio.timeout(1):
            await drain(process.exited, admin, 10)
        assert (await admin.stats("http.test.downstream_cx_active")).popitem()[1] == 1


async def test_a_dead_admin_does_not_hold_up_the_end(
    launch: Launch, pid_file: Path, tmp_path: Path
) -> None:
    process = start(launch, pid_file)
    async with asyncio.timeout(1):
        await drain(process.exited, Admin(tmp_path / "none"), 10)
