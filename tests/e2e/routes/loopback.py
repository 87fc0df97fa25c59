"""One Envoy on the loopback with the pipeline's HTTP chain, the routes of some destinations, and what they lead to."""

import asyncio
import contextlib
import http.client
import json
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from outgate.envoy import binary
from outgate.model.destinations import Destination
from outgate.settings import Settings
from outgate.xds import building, routes
from outgate.xds import http as manager
from outgate.xds.denials import TUNNELLED, Caller
from outgate.xds.policing import programming
from outgate.xds.rendering import decode

SETTINGS = Settings()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def seen(self) -> dict[str, Any]:
        """What the server saw."""
        return dict(json.loads(self.body))

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Upstream:
    """A server that says what it saw; what a path does besides is in `_answer`."""

    name: str
    port: int = field(default_factory=free_port)
    calls: list[str] = field(default_factory=list)
    runner: web.AppRunner = field(init=False)

    async def start(self) -> None:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self.runner = runner
        await web.TCPSite(runner, "127.0.0.1", self.port).start()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(request.path)
        attempt = self.calls.count(request.path)
        first, _, rest = request.path.strip("/").partition("/")
        if request.headers.get("upgrade", "").lower() == "websocket":
            return await self._echo(request)
        if first == "fail":
            # Once, with a status.
            if attempt == 1:
                return web.Response(status=int(rest.split("/")[0]))
        elif first == "status":
            return web.Response(status=int(rest))
        elif first == "slow" and (attempt == 1 or "always" in rest):
            await asyncio.sleep(1)
        elif first == "lines":
            return await self._lines(request)
        body = await request.read()
        seen = {
            "server": self.name,
            "method": request.method,
            "path": request.path_qs,
            "headers": {
                key.lower(): ",".join(request.headers.getall(key)) for key in request.headers
            },
            "size": len(body),
            "attempt": attempt,
        }
        answer = web.json_response(seen, headers={"x-server": self.name})
        if first == "compressed":
            answer.enable_compression()
        return answer

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        channel = web.WebSocketResponse()
        await channel.prepare(request)
        async for message in channel:
            await channel.send_str(f"{self.name}: {message.data}")
        return channel

    async def _lines(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for number in range(4):
            await answer.write(f"{number}\n".encode())
            await asyncio.sleep(0.2)
        return answer


class Servers:
    """Servers in a thread of their own."""

    def __init__(self, *names: str) -> None:
        self.by_name = {each: Upstream(each) for each in names}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        for each in self.by_name.values():
            self._run(each.start())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def close(self) -> None:
        for each in self.by_name.values():
            self._run(each.runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


class Envoy:
    """It listens for callers of namespace `a` at `ports["a"]`, of `b` at `ports["b"]`, and at a tunnel's end: `late`.

    There a connection has but a second.
    """

    def __init__(self, folder: Path, servers: Servers) -> None:
        self.folder, self.servers = folder, servers
        self.ports = {each: free_port() for each in ("a", "b", "late")}
        self.admin = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def _listener(self, namespace: str, scopes: list[dict[str, Any]]) -> dict[str, Any]:
        log = str(self.folder / "log")
        caller = Caller(namespace, f"spiffe://{namespace}", "pod")
        chain = manager.chain(SETTINGS, log, TUNNELLED if namespace == "late" else caller)
        if namespace == "late":
            limits = chain[0]["typed_config"]["common_http_protocol_options"]
            assert limits["max_connection_duration"]
            limits["max_connection_duration"] = "1s"
        for filters in _lists(chain[0]["typed_config"]):
            filters[:] = [_without_policies(each) for each in filters]
        scoped = chain[0]["typed_config"]["scoped_routes"]
        del scoped["scoped_rds"]
        scoped["scoped_route_configurations_list"] = {"scoped_route_configurations": scopes}
        return {
            "name": namespace,
            "address": _address(self.ports[namespace]),
            "filter_chains": [{"filters": chain}],
        }

    def start(
        self, destinations: Iterable[Destination], clusters: dict[str, list[str]], more: list[Any]
    ) -> None:
        """Start with the routes of some destinations; `clusters` are the servers behind each."""
        groups: dict[tuple[str, str], list[Destination]] = {}
        for each in destinations:
            groups.setdefault(routes.scope_key(each.name), []).append(each)
        made = (routes.scope(key, members, SETTINGS) for key, members in groups.items())
        scopes = [decode(each) for each in made if each is not None]
        static = {
            "listeners": [self._listener(each, scopes) for each in self.ports],
            "clusters": [
                {
                    "name": name,
                    "type": "STATIC",
                    "lb_policy": "RING_HASH",
                    "load_assignment": {
                        "cluster_name": name,
                        "endpoints": [
                            {"lb_endpoints": [{"endpoint": {"address": _address(self.port(one))}}]}
                            for one in servers
                        ],
                    },
                }
                for name, servers in clusters.items()
            ]
            + more,
        }
        config = {"admin": {"address": _address(self.admin)}, "static_resources": static}
        path = self.folder / "envoy.json"
        path.write_text(json.dumps(config))
        words = (
            binary.find(),
            "-c",
            path,
            "--use-dynamic-base-id",
            "--file-flush-interval-msec",
            "50",
            "--concurrency",
            "1",
            "-l",
            "warning",
        )
        with (self.folder / "errors").open("wb") as errors:
            self._process = subprocess.Popen(words, stderr=errors)
        deadline = time.monotonic() + 20
        while not self._ready():
            said = (self.folder / "errors").read_text()
            assert self._process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.05)

    def port(self, server: str) -> int:
        return self.servers.by_name[server].port

    def _ready(self) -> bool:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=1)
            with contextlib.closing(connection):
                connection.request("GET", "/ready")
                return connection.getresponse().status == 200
        return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def call(
        self, host: str, path: str = "/", method: str = "GET", by: str = "a", **more: Any
    ) -> Answer:
        """Call a host as an application does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[by], timeout=10)
        headers = {"Host": host, **more.get("headers", {})}
        connection.request(method, path, body=more.get("body"), headers=headers)
        got = connection.getresponse()
        found = {key.lower(): value for key, value in got.getheaders()}
        answer = Answer(got.status, found, got.read())
        connection.close()
        return answer

    def log(self, path: str) -> dict[str, Any]:
        """Return the line of the last call to a path."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            lines = [json.loads(each) for each in (self.folder / "log").read_text().splitlines()]
            if chosen := [each for each in lines if each["path"] == path]:
                return dict(chosen[-1])
            time.sleep(0.1)
        raise AssertionError(path)

    async def chat(
        self, host: str, path: str, *words: str, by: str = "a", pause: float = 0
    ) -> list[str]:
        """Say something in a WebSocket, and return what was answered; `pause` is between two words, in seconds."""
        url = f"http://127.0.0.1:{self.ports[by]}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, headers={"Host": host}) as channel,
        ):
            answers: list[str] = []
            for each in words:
                await asyncio.sleep(pause if answers else 0)
                await channel.send_str(each)
                answers.append(str((await channel.receive(5)).data))
            return answers


POLICED, _ = programming.program(programming.Policed(), {}, (), None)


def _lists(config: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    yield config["http_filters"]
    yield from (each["filters"] for each in config["upgrade_configs"])


def _without_policies(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a filter that would be asked for as it is where there is no policy."""
    if "config_discovery" not in entry:
        return entry
    name = entry["name"].partition("|")[0]
    return decode(POLICED.resources[building.EXTENSION, name])


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


@contextlib.contextmanager
def running(*names: str) -> Iterator[Envoy]:
    """Have servers, and an Envoy that is to be started."""
    servers = Servers(*names)
    with tempfile.TemporaryDirectory(prefix="outgate-routes-") as folder:
        envoy = Envoy(Path(folder), servers)
        try:
            yield envoy
        finally:
            envoy.stop()
            servers.close()
