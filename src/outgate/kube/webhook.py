"""Injects pods as they are made, by the same functions as `kube-inject`, so that the result is the same.

The API server asks again after other webhooks had their turn; a pod that has capture already is left as it is.
"""

import asyncio
import base64
import functools
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from outgate.errors import UnavailableError
from outgate.inject import pod, verifying
from outgate.inject.options import Options
from outgate.kube import naming
from outgate.kube.authorities import ServerCertificate
from outgate.kube.bodies import Bodies
from outgate.kube.turns import Turns
from outgate.serve.server import Certificate

PATH = "/inject"
_LAST_SECONDS = 2.0
_THREADS = 2
_OF_EACH_WAITING = 64
"""Of one caller: the API server makes pods faster than that only where it makes thousands."""


def review(request: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """Answer an AdmissionReview's `request`: its pod with capture, as it is, or refused with a reason."""
    template = request.get("object")
    answer: dict[str, Any] = {"uid": request.get("uid", ""), "allowed": True}
    if not isinstance(template, dict) or request.get("subResource"):
        return answer
    reason = pod.reason_to_skip(template)
    if reason == pod.CAPTURED:
        return answer | _captured(template, options)
    if reason:
        return answer | {"warnings": [f"outgate: left alone: {reason}"]}
    if found := pod.problem(template):
        return answer | _refused(f"cannot capture this pod: {': '.join(found)}")
    said = [f"outgate: {path}: {message}" for path, message in pod.warnings(template, options)]
    changed = _changed(_patch(template, pod.inject(template, options)))
    return answer | changed | ({"warnings": said} if said else {})


def _captured(template: dict[str, Any], options: Options) -> dict[str, Any]:
    """Answer for a pod that says that it has capture."""
    found = verifying.difference(template, options)
    if found is None:
        return _changed(_patch(template, verifying.settled(template, options)))
    if (made := verifying.renewed(template, options)) is not None:
        return _changed(_patch(template, made))
    return _refused(f"this pod says that it is captured, but {': '.join(found)}")


def _refused(message: str) -> dict[str, Any]:
    return {"allowed": False, "status": {"code": 422, "message": f"outgate: {message}"}}


def _changed(changes: list[dict[str, Any]]) -> dict[str, Any]:
    if not changes:
        return {}
    patch = base64.b64encode(json.dumps(changes).encode()).decode()
    return {"patchType": "JSONPatch", "patch": patch}


def _patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the JSON patch of the few fields that injection touches."""
    changes = []
    for parent, key in (
        ("metadata", "annotations"),
        ("metadata", "labels"),
        ("spec", "initContainers"),
        ("spec", "containers"),
        ("spec", "volumes"),
    ):
        old, new = (each.get(parent, {}).get(key) for each in (before, after))
        if new != old:
            operation = "add" if old is None else "replace"
            changes.append({"op": operation, "path": f"/{parent}/{key}", "value": new})
    return changes


_MALFORMED = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What comes of a request that the API server did not send."""


def _reviewed(body: bytes, options: Options) -> bytes:
    """Answer an AdmissionReview, both as JSON; one of `_MALFORMED` if it is none."""
    given = json.loads(body)
    answer = review(given["request"], options)
    kind = {"apiVersion": given["apiVersion"], "kind": "AdmissionReview", "response": answer}
    return json.dumps(kind).encode()


@dataclass(slots=True, eq=False)
class Webhook:
    """The server that the API server asks; `options` are what the injected containers get."""

    certificate: ServerCertificate
    options: Options
    port: int = naming.WEBHOOK_PORT
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Once it is set, no connection is kept for a further request: one that is closed just then would fail."""
    _bodies: Bodies = field(default_factory=Bodies)
    # Half of the threads at most are one caller's.
    _turns: Turns = field(default_factory=lambda: Turns(_THREADS, _THREADS // 2, _OF_EACH_WAITING))
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_THREADS, "webhook")
    )

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Answer on every address for the time of a `with` block."""
        application = web.Application()
        application.router.add_post(PATH, self._answer)
        runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=_LAST_SECONDS, lingering_time=1.0
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, None, self.port, ssl_context=self._context())
            await site.start()
            yield
        finally:
            await runner.cleanup()
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, request: web.Request) -> web.Response:
        caller = request.remote or ""
        try:
            async with self._bodies.body(request, caller) as body, self._turns.turn(caller):
                # Not here: a large pod takes long enough to keep proxies and probes waiting.
                work = functools.partial(_reviewed, body, self.options)
                answer = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except UnavailableError as error:
            raise web.HTTPServiceUnavailable(text=f"{error}\n") from error
        except _MALFORMED as error:
            raise web.HTTPBadRequest(text=f"not an AdmissionReview: {error}\n") from error
        response = web.Response(body=answer, content_type="application/json")
        if self.stopping.is_set():
            response.force_close()
        return response

    def _context(self) -> ssl.SSLContext:
        """Return a context that shows, at each handshake, the certificate that is current then."""
        shown = [self.certificate.current()]
        contexts = [_context(shown[0])]

        def choose(connection: ssl.SSLObject, *_: object) -> None:
            if (current := self.certificate.current()) != shown[0]:
                shown[0], contexts[0] = current, _context(current)
            connection.context = contexts[0]

        first = _context(shown[0])
        first.sni_callback = choose
        return first


def _context(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python reads a key from a file only; this one is in memory, where the root file system is read-only.
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        file.write(certificate.key + certificate.chain)
        file.flush()
        context.load_cert_chain(file.name)
    return context
