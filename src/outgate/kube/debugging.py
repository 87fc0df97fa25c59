"""Answers what people ask a controller about itself, on a Unix socket inside of its container.

No other pod gets there; people do by `pods/exec`, which is a right of their own: see `outgate.kube.asking`.
"""

import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from outgate import __version__
from outgate.errors import OutgateError, UnavailableError, UsageError
from outgate.kube import naming, views
from outgate.kube.views import Replica
from outgate.xds import explaining
from outgate.xds import naming as xds_naming
from outgate.xds.explaining import Explainer
from outgate.xds.policing.explaining import judge

if TYPE_CHECKING:
    from outgate.kube.controller import Controller

_log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SIDECAR_LISTENERS = {each: each for each in (xds_naming.CAPTURE, xds_naming.RAW)}
"""A sidecar's listeners, and those behind the tunnel, have the same names."""


class Debug:
    """One controller's answers."""

    def __init__(self, controller: "Controller") -> None:
        """Serve nothing yet."""
        self._controller = controller

    @asynccontextmanager
    async def serving(self, path: str = naming.DEBUG_SOCKET) -> AsyncIterator[None]:
        """Serve for the time of a `with` block; where there is no such folder, calls go on without."""
        application = web.Application(middlewares=[_errors])
        application.router.add_get("/status", self._status)
        application.router.add_get("/resources", self._resources)
        application.router.add_get("/explain", self._explain)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        # For the owner alone, from the first moment on.
        before = os.umask(0o177)
        try:
            await web.UnixSite(runner, path).start()
        except OSError as error:
            _log.warning("nobody can ask this controller about itself: %s", error)
        finally:
            os.umask(before)
        try:
            yield
        finally:
            await runner.cleanup()

    async def _status(self, _: web.Request) -> web.Response:
        own = self._controller
        replica = Replica(
            pod=own.teller.pod.name,
            version=__version__,
            ready=own.complete.is_set(),
            leads=own.teller.elector.leads(),
            leader=own.teller.elector.leader,
            services=len(own.mesh.programmed.destinations),
            problems=views.problems(own.mesh.all_problems()),
            events_written=own.teller.recorder.written,
        )
        return web.json_response(views.status(replica, own.server.proxies(), time.monotonic()))

    async def _resources(self, request: web.Request) -> web.Response:
        contents = "contents" in request.query
        proxies = self._controller.server.proxies()
        return web.json_response(
            views.resources(proxies, request.query.get("node", ""), contents=contents)
        )

    async def _explain(self, request: web.Request) -> web.Response:
        own = self._controller
        if not own.complete.is_set():
            raise UnavailableError("this controller has not read everything yet")
        domain = own.options.settings.trust_domain
        called = explaining.target(request.query.get("url", ""))
        namespace, pod = (request.query.get(each, "") for each in ("namespace", "pod"))
        policies = own.mesh.assembly.policies(namespace)
        found = (each for each in own.mesh.callers(namespace) if each.name.name == pod)
        judged = [judge(policies, each) for each in found]
        explainer = Explainer(
            own.mesh.programmed, domain, SIDECAR_LISTENERS, judged[0] if judged else None
        )
        answer = explainer.explain(called, namespace)
        inside = sorted(map(str, own.fleet.ranges))
        return web.json_response({"answer": answer, "inside": inside, "domain": domain})


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except OutgateError as error:
        form = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
        return web.json_response({"error": form}, status=400)
    except web.HTTPNotFound:
        form = {"kind": "UsageError", "message": "the controller is of another version", "hint": ""}
        return web.json_response({"error": form}, status=404)


async def ask(path: str, socket: str = naming.DEBUG_SOCKET) -> Any:
    """Return the answer of the controller in this container; UsageError where there is none."""
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(socket)) as session,
            session.get(f"http://controller{path}") as response,
        ):
            return await response.json()
    except aiohttp.ClientConnectorError as error:
        raise UsageError(f"there is no controller here: {socket} is not there") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise UnavailableError(f"the controller does not answer: {error}") from error
