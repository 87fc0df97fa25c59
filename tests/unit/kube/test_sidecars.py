"""What a real Envoy makes of a sidecar's configuration: when ranges change, and where there is no IPv6."""

import asyncio
import contextlib
import ipaddress
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest
from envoy.extensions.filters.listener.proxy_protocol.v3 import proxy_protocol_pb2
from tests.unit.kube.pairs import Envoy, Pair, free_port

from outgate.model.workloads import Network
from outgate.settings import Settings
from outgate.xds import building, naming, sidecars
from outgate.xds import extensions as ext
from outgate.xds.building import LISTENER
from outgate.xds.snapshot import Resource

pytestmark = pytest.mark.envoy

INSIDE: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/24"),)
MORE: tuple[Network, ...] = (*INSIDE, ipaddress.ip_network("10.244.7.0/24"))


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="outgate-kube-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(line)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def without_kernel(resources: Iterable[Resource], port: int) -> list[Resource]:
    """Have the first bytes say where a connection was going (PROXY), where the kernel would."""
    found = []
    for each in resources:
        if (each.type_url, each.name) == (LISTENER, naming.CAPTURE):
            message = ext.listener.Listener.FromString(each.value)
            message.address.socket_address.port_value = port
            del message.listener_filters[:]
            proxied = message.listener_filters.add(name="envoy.filters.listener.proxy_protocol")
            proxied.typed_config.Pack(proxy_protocol_pb2.ProxyProtocol())
            found.append(building.resource(LISTENER, each.name, message))
        elif each.type_url != LISTENER:
            found.append(each)
    return found


async def says(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], text: str) -> str:
    reader, writer = connection
    writer.write(text.encode())
    async with asyncio.timeout(5):
        return (await reader.readline()).decode()


async def test_open_connections_inside_the_cluster_survive_a_new_nodes_range(
    folder: Path, echo: int
) -> None:
    pair, port = Pair(folder), free_port()
    place = f"127.0.0.1:{pair.tunnel}"

    def resources(inside: tuple[Network, ...]) -> list[Resource]:
        return without_kernel(sidecars.resources([place], Settings(), inside), port)

    publisher, _ = pair.sidecar("pod", resources(INSIDE))
    await pair.server.start()
    async with Envoy("pod", folder).running() as envoy:
        await publisher.wait(publisher.revision, 20)
        header = f"PROXY TCP4 127.0.0.1 127.0.0.1 9 {echo}\r\n"
        before = await asyncio.open_connection("127.0.0.1", port)
        assert await says(before, f"{header}one\n") == "one\n"
        await publisher.wait(publisher.publish(resources(MORE)), 5)
        assert await envoy.stats("in_place_updated") == {
            "listener_manager.listener_in_place_updated": 1
        }
        # Longer than draining takes here.
        await asyncio.sleep(2.5)
        assert await says(before, "two\n") == "two\n"
        after = await asyncio.open_connection("127.0.0.1", port)
        assert await says(after, f"{header}three\n") == "three\n"
        # And what the matcher says holds: a range that is gone leads to the egress, which is not there.
        await publisher.wait(publisher.publish(resources(MORE[1:])), 5)
        elsewhere = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            assert await says(elsewhere, f"{header}four\n") == ""
        assert await says(before, "five\n") == "five\n"
        for _, writer in (before, after, elsewhere):
            writer.close()
    await pair.server.stop()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="makes a network namespace")
async def test_where_ipv6_is_switched_off_capture_takes_ipv4(folder: Path) -> None:
    pair = Pair(folder)
    place = f"127.0.0.1:{pair.tunnel}"
    publisher, _ = pair.sidecar("pod", sidecars.resources([place], Settings(), INSIDE))
    await pair.server.start()
    script = 'sysctl -qw net.ipv6.conf.all.disable_ipv6=1; ip link set lo up; exec "$@"'
    async with Envoy("pod", folder).running("unshare", "--net", "sh", "-c", script, "sh") as envoy:
        assert await publisher.wait(publisher.revision, 20) == ()
        inside = ("nsenter", f"--net=/proc/{envoy.process.pid}/ns/net")
        done = subprocess.run([*inside, "ss", "-Hltn"], capture_output=True, text=True, check=True)
        listening = {line.split()[3] for line in done.stdout.splitlines()}
        for port in (naming.CAPTURE_PORT, naming.RAW_PORT):
            assert f"127.0.0.1:{port}" in listening
        connect = (
            f"import socket; socket.create_connection(('127.0.0.1', {naming.CAPTURE_PORT}), 5)"
        )
        subprocess.run([*inside, "python3", "-c", connect], check=True)
    await pair.server.stop()
