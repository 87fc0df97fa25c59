"""Memory of a real egress Envoy while a captured workload sends to somebody who does not read."""

import asyncio
import contextlib
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.unit.kube.pairs import Envoy, Pair

pytestmark = pytest.mark.envoy

# Less than what so many connections hold at the least: with more, whether they reach it depends on the machine.
HEAP = 140 << 20
# What there is beside the heap in a container with the limits that `install` writes.
BESIDE = 256 << 20
# A process of its own: many connections, each of which sends as much as is taken.
HOGS = """
import asyncio, sys
async def hog():
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
            writer.write(b"POST / HTTP/1.1\\r\\nHost: sink\\r\\nContent-Length: 1000000000\\r\\n\\r\\n")
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        except OSError:
            await asyncio.sleep(1)
async def main():
    await asyncio.gather(*(hog() for _ in range(int(sys.argv[2]))))
asyncio.run(main())
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="outgate-kube-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def sink() -> Iterator[int]:
    """Return the port of one who takes connections and never reads."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
        yield int(listening.getsockname()[1])


@pytest.fixture
async def origin() -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def call(port: int) -> str:
    """Return the status of a call to the good service; empty if there is none."""
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(writer):
                writer.write(b"GET / HTTP/1.1\r\nHost: good\r\n\r\n")
                return (await reader.readline())[9:12].decode()
    except OSError:
        return ""


async def test_a_sink_that_does_not_read_costs_no_more_than_the_limit(
    folder: Path, sink: int, origin: int
) -> None:
    pair = Pair(folder)
    publishers = [pair.egress(sink=sink, good=origin)]
    hostile, good = pair.sidecar("hostile"), pair.sidecar("good")
    publishers += [hostile[0], good[0]]
    await pair.server.start()
    async with contextlib.AsyncExitStack() as stack:
        egress = await stack.enter_async_context(Envoy("egress", folder, HEAP).running())
        for name in ("hostile", "good"):
            await stack.enter_async_context(Envoy(name, folder).running())
        for each in publishers:
            await each.wait(each.revision, 20)
        assert await call(good[1]) == "200"
        hogs = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HOGS, str(hostile[1]), "500"
        )
        try:
            most, answers, ended = 0, list[str](), 0
            # A busy machine takes longer to get there; what counts is what happens from then on.
            begin = reached = time.monotonic()
            while time.monotonic() < (reached + 12 if ended else begin + 60):
                answers.append(await call(good[1]))
                most = max(most, egress.resident)
                if not ended:
                    ended = sum((await egress.stats("reset_high_memory_stream.count")).values())
                    reached = time.monotonic()
                await asyncio.sleep(0.02)
        finally:
            hogs.kill()
            await hogs.wait()
    await pair.server.stop()
    assert ended > 0, "the limit was not reached"
    assert most < HEAP + BESIDE
    # What is ended comes again, all at once: for a second or two nothing new is accepted, of nobody.
    assert answers.count("200") > 0.5 * len(answers)
