"""What commands ask of the daemon: HTTP with JSON on a Unix socket that only root may open."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from outgate import __version__
from outgate.errors import ConflictError, NotFoundError, OutgateError, UsageError
from outgate.host import detached, explaining, pods
from outgate.host.pods import Pod
from outgate.model.destinations import Name
from outgate.model.workloads import spiffe_id

if TYPE_CHECKING:
    from outgate.host.daemon import Daemon

_log = logging.getLogger(__name__)

_STATUS = {UsageError: 400, NotFoundError: 404, ConflictError: 409}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except OutgateError as error:
        status = _STATUS.get(type(error), 500)
        body = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
        return web.json_response(body, status=status)


class Api:
    """The daemon's own interface."""

    def __init__(self, daemon: "Daemon") -> None:
        """Serve nothing yet."""
        self._daemon = daemon
        self._app = web.Application(middlewares=[_errors])
        self._app.add_routes(
            [
                web.get("/v1/status", self._status),
                web.post("/v1/sync", self._sync),
                web.post("/v1/stop", self._stop),
                web.get("/v1/pods", self._pods),
                web.post("/v1/pods", self._create),
                web.post("/v1/pods/{namespace}/{name}/start", self._start),
                web.delete("/v1/pods/{namespace}/{name}", self._delete),
                web.get("/v1/explain", self._explain),
            ]
        )

    @contextlib.asynccontextmanager
    async def serving(self, path: Path) -> AsyncIterator[None]:
        """Serve on a Unix socket."""
        runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        before = os.umask(0o177)
        try:
            # A socket that an earlier daemon has left is replaced.
            await web.UnixSite(runner, str(path)).start()
        finally:
            os.umask(before)
        try:
            yield
        finally:
            await runner.cleanup()

    async def _status(self, _: web.Request) -> web.Response:
        daemon = self._daemon
        supervisor = daemon.egress.supervisor
        return web.json_response(
            {
                "version": __version__,
                "pid": os.getpid(),
                "capture": daemon.layout.settings.capture,
                "services": len(daemon.mesh.programmed.destinations),
                "pods": len(daemon.fleet.pods),
                "revision": daemon.publisher.revision,
                "egress": {
                    "state": supervisor.state.value,
                    "pid": supervisor.pid,
                    "restarts": supervisor.restarts,
                    "failure": str(supervisor.failure) if supervisor.failure else "",
                },
                "proxies": [
                    {
                        "node": each.node,
                        "synced": each.acknowledged >= each.revision,
                        "refused": list(each.refusals),
                    }
                    for each in daemon.server.status()
                ],
                "problems": [str(each) for each in daemon.mesh.problems()],
            }
        )

    async def _sync(self, request: web.Request) -> web.Response:
        body = await request.json()
        revision = await self._daemon.sync(Path(each) for each in body["files"])
        refused = await self._daemon.settled(revision) if body.get("wait", True) else ()
        return web.json_response({"revision": revision, "refused": list(refused)})

    async def _stop(self, _: web.Request) -> web.Response:
        self._daemon.stopping.set()
        return web.json_response({})

    def _view(self, pod: Pod) -> dict[str, Any]:
        domain = self._daemon.layout.settings.trust_domain
        identity = spiffe_id(domain, pod.namespace, pod.service_account)
        init = pod.init.pid if pod.init else None
        return {"manifest": pod.manifest(identity), "init": init}

    async def _pods(self, _: web.Request) -> web.Response:
        found = sorted(self._daemon.fleet.pods.values(), key=lambda pod: pod.key)
        return web.json_response({"items": [self._view(each) for each in found]})

    async def _create(self, request: web.Request) -> web.Response:
        wanted = pods.request(await request.json(), self._daemon.layout.settings.capture)
        # A command that is interrupted meanwhile must not leave half a pod.
        made = await asyncio.shield(self._daemon.fleet.create(wanted))
        return web.json_response(self._view(made))

    async def _start(self, request: web.Request) -> web.Response:
        name = _name(request)
        process = await detached.start(self._daemon, name, await request.json())
        return web.json_response({"pid": process.pid})

    async def _delete(self, request: web.Request) -> web.Response:
        await asyncio.shield(self._daemon.fleet.remove(_name(request)))
        return web.json_response({})

    async def _explain(self, request: web.Request) -> web.Response:
        query = request.query
        pod = self._daemon.fleet.get(Name(query["namespace"], query["pod"]))
        found = explaining.explain(self._daemon.mesh, pod.key, query["url"])
        return web.json_response(found)


def _name(request: web.Request) -> Name:
    return Name(request.match_info["namespace"], request.match_info["name"])
