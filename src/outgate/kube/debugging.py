"""Answers what people ask a controller about itself, on a Unix socket inside of its container.

No other pod gets there; people do by `pods/exec`, which is a right of their own: see `outgate.kube.asking`
and, in the container, `outgate.kube.inquiring`.
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from outgate import __version__
from outgate.errors import OutgateError, UnavailableError
from outgate.kube import naming, views
from outgate.kube.fleet import Fleet
from outgate.kube.mesh import Mesh
from outgate.kube.telling import Teller
from outgate.kube.views import Replica
from outgate.serve.server import Server
from outgate.xds import explaining
from outgate.xds import naming as xds_naming
from outgate.xds.explaining import Explainer
from outgate.xds.policing.explaining import judge

_log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SIDECAR_LISTENERS = {each: each for each in (xds_naming.CAPTURE, xds_naming.RAW)}
"""A sidecar's listeners, and those behind the tunnel, have the same names."""


@dataclass(frozen=True, slots=True, eq=False)
class Debug:
    """One controller's answers, of its parts; `complete` is set once it has read everything."""

    mesh: Mesh
    fleet: Fleet
    server: Server
    teller: Teller
    complete: asyncio.Event
    trust_domain: str

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
        replica = Replica(
            pod=self.teller.pod.name,
            version=__version__,
            ready=self.complete.is_set(),
            leads=self.teller.elector.leads(),
            leader=self.teller.elector.leader,
            services=len(self.mesh.programmed.destinations),
            problems=views.problems(self.mesh.all_problems()),
            events_written=self.teller.recorder.written,
        )
        return web.json_response(views.status(replica, self.server.proxies(), time.monotonic()))

    async def _resources(self, request: web.Request) -> web.Response:
        contents = "contents" in request.query
        proxies = self.server.proxies()
        return web.json_response(
            views.resources(proxies, request.query.get("node", ""), contents=contents)
        )

    async def _explain(self, request: web.Request) -> web.Response:
        if not self.complete.is_set():
            raise UnavailableError("this controller has not read everything yet")
        called = explaining.target(request.query.get("url", ""))
        namespace, pod = (request.query.get(each, "") for each in ("namespace", "pod"))
        policies = self.mesh.assembly.policies(namespace)
        found = (each for each in self.mesh.callers(namespace) if each.name.name == pod)
        judged = [judge(policies, each) for each in found]
        explainer = Explainer(
            self.mesh.programmed,
            self.trust_domain,
            SIDECAR_LISTENERS,
            judged[0] if judged else None,
        )
        answer = explainer.explain(called, namespace)
        inside = sorted(map(str, self.fleet.ranges))
        return web.json_response({"answer": answer, "inside": inside, "domain": self.trust_domain})


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
