import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from outgate.envoy.admin import Admin
from outgate.envoy.launching import Launch
from outgate.envoy.process import Process, start
from outgate.errors import UnavailableError

pytestmark = pytest.mark.envoy
needs_envoy = pytest.mark.usefixtures("running")


@pytest.fixture
async def running(
    launch: Launch, pid_file: Path, until_ready: Callable[[], Awaitable[None]]
) -> Process:
    process = start(launch, pid_file)
    await until_ready()
    return process


@needs_envoy
async def test_every_question_gets_its_answer(admin: Admin) -> None:
    info = await admin.server_info()
    assert info["state"] == "LIVE"
    assert info["command_line_options"]["concurrency"] == 1

    stats = await admin.stats(r"^server\.(live|total_connections)$")
    assert stats == {"server.live": 1, "server.total_connections": 0}
    assert len(await admin.stats(used_only=True)) < len(await admin.stats())

    assert {listener["name"] for listener in await admin.listeners()} == {"http", "tcp"}
    assert [cluster["name"] for cluster in await admin.clusters("^u")] == ["up"]
    assert await admin.clusters("^none$") == []
    assert await admin.certs() == []


@needs_envoy
async def test_the_configuration_can_be_asked_for_in_part(admin: Admin) -> None:
    whole = await admin.config_dump()
    assert any(part["@type"].endswith("BootstrapConfigDump") for part in whole)
    part = await admin.config_dump(resource="static_clusters", mask="cluster.name")
    assert [entry["cluster"]["name"] for entry in part] == ["up"]
    named = await admin.config_dump(resource="static_listeners", name="^tcp$")
    assert [entry["listener"]["name"] for entry in named] == ["tcp"]


@needs_envoy
async def test_a_refused_question_says_why(admin: Admin) -> None:
    with pytest.raises(UnavailableError, match=r"config_dump with 4.*nonsense"):
        await admin.config_dump(resource="nonsense")


async def test_quit_ends_envoy(running: Process, admin: Admin) -> None:
    await admin.quit()
    async with asyncio.timeout(5):
        await running.exited
    with pytest.raises(UnavailableError, match="does not answer"):
        await admin.ready()


async def test_no_socket_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"admin at .*none.* does not answer"):
        await Admin(tmp_path / "none").ready()


async def test_a_path_too_long_for_a_socket_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="too long"):
        await Admin(tmp_path / ("x" * 120)).ready()


async def test_a_silent_admin_is_given_up(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "silent"))
        server.listen()
        with pytest.raises(UnavailableError, match="no answer in time"):
            await Admin(folder / "silent", timeout=0.1).ready()
