"""A real Envoy with an admin socket, an HTTP and a TCP listener."""

import asyncio
import contextlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from outgate.envoy import binary
from outgate.envoy.admin import Admin
from outgate.envoy.launching import Launch
from outgate.envoy.process import stop_recorded
from outgate.errors import UnavailableError

_FILTERS = "type.googleapis.com/envoy.extensions.filters."


@pytest.fixture(scope="session")
def envoy() -> Path:
    return binary.find()


@pytest.fixture
def folder() -> Iterator[Path]:
    # pytest's own folders are too long for a Unix socket's 107 bytes.
    path = Path(tempfile.mkdtemp(prefix="outgate-envoy-"))
    yield path
    shutil.rmtree(path)


def _bootstrap(folder: Path, upstream: int, namespace: str, port: int) -> dict[str, Any]:
    """`/` answers by itself, `/up` asks the server at port `upstream` of the loopback."""
    manager = {
        "@type": _FILTERS + "network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "test",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/up"},
                            "route": {"cluster": "up", "timeout": "0s"},
                        },
                        {"match": {"prefix": "/"}, "direct_response": {"status": 200}},
                    ],
                }
            ]
        },
        "http_filters": [
            {"name": "router", "typed_config": {"@type": _FILTERS + "http.router.v3.Router"}}
        ],
    }
    tcp = {"@type": _FILTERS + "network.tcp_proxy.v3.TcpProxy", "stat_prefix": "tcp"}
    cluster = {
        "name": "up",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "up",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(upstream)}}]}],
        },
    }
    return {
        "admin": {"address": {"pipe": {"path": str(folder / "admin.sock"), "mode": 0o600}}},
        "static_resources": {
            "listeners": [
                _listener(
                    "http",
                    _address(port, namespace),
                    {"name": "http", "typed_config": manager},
                ),
                _listener(
                    "tcp", _address(0), {"name": "tcp", "typed_config": tcp | {"cluster": "up"}}
                ),
            ],
            "clusters": [cluster],
        },
    }


def _listener(name: str, address: dict[str, Any], network_filter: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "address": address,
        "filter_chains": [{"filters": [network_filter]}],
    }


def _address(port: int, namespace: str = "") -> dict[str, Any]:
    inside = {"network_namespace_filepath": namespace} if namespace else {}
    return {"socket_address": {"address": "127.0.0.1", "port_value": port} | inside}


@pytest.fixture
def write_bootstrap(folder: Path) -> Callable[..., Path]:
    """Write the bootstrap: the upstream's port, and where the HTTP listener is."""

    def write(upstream: int = 1, namespace: str = "", port: int = 0) -> Path:
        path = folder / "bootstrap.json"
        path.write_text(json.dumps(_bootstrap(folder, upstream, namespace, port)))
        return path

    return write


@pytest.fixture
def launch(folder: Path, envoy: Path, write_bootstrap: Callable[..., Path]) -> Launch:
    return Launch(
        binary=envoy,
        bootstrap=write_bootstrap(),
        log_file=folder / "envoy.log",
        directory=folder,
        concurrency=1,
        drain_seconds=3.0,
    )


@pytest.fixture
async def pid_file(folder: Path) -> AsyncIterator[Path]:
    """Whatever a test leaves running is ended by its pid file, which thereby is tested too."""
    path = folder / "envoy.pid"
    yield path
    with contextlib.suppress(OSError):
        await stop_recorded(path, Admin(folder / "admin.sock"), 0)


@pytest.fixture
def admin(folder: Path) -> Admin:
    return Admin(folder / "admin.sock")


@pytest.fixture
def until_ready(admin: Admin) -> Callable[[], Awaitable[None]]:
    async def wait() -> None:
        async with asyncio.timeout(10):
            while not await _ready(admin):  # noqa: ASYNC110 - Envoy has no event for it
                await asyncio.sleep(0.02)

    return wait


async def _ready(admin: Admin) -> bool:
    with contextlib.suppress(UnavailableError):
        return await admin.ready()
    return False


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Wait until a condition holds."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - nor has a condition
                await asyncio.sleep(0.002)

    return wait
