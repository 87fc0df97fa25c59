"""What commands ask of the daemon, on a Unix socket that only root may open: a line of JSON each way.

A request is `{"method": NAME, "arguments": {...}}`; an answer `{"result": ...}` or
`{"error": {"kind", "message", "hint"}}`.
"""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from outgate import __version__
from outgate.errors import OutgateError
from outgate.host import detached, pods, statuses
from outgate.host.daemon import Daemon
from outgate.host.pods import Pod
from outgate.model.names import Name
from outgate.model.workloads import spiffe_id

_log = logging.getLogger(__name__)

MAX_BYTES = 16 << 20
Arguments = Mapping[str, Any]


class Api:
    """The daemon's own interface."""

    def __init__(self, daemon: Daemon) -> None:
        """Serve nothing yet."""
        self._daemon = daemon
        self._methods: dict[str, Callable[[Arguments], Awaitable[Any]]] = {
            "status": self._status,
            "problems": self._problems,
            "statuses": self._statuses,
            "sync": self._sync,
            "stop": self._stop,
            "pods": self._pods,
            "create": self._create,
            "start": self._start,
            "delete": self._delete,
            "explain": self._explain,
        }

    @contextlib.asynccontextmanager
    async def serving(self, path: Path) -> AsyncIterator[None]:
        """Serve on a Unix socket; one that an earlier daemon has left is replaced."""
        before = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(self._converse, path, limit=MAX_BYTES)
        finally:
            os.umask(before)
        try:
            yield
        finally:
            server.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError):
            answer = await self._answer(await reader.readline())
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            method = self._methods.get(request["method"])
            if method is None:
                hint = "outgate down, then outgate up"
                return _failure("UsageError", "the daemon is of another version", hint)
            # A command that is interrupted meanwhile must not leave half of what it asked for.
            return {
                "result": await asyncio.shield(asyncio.ensure_future(method(request["arguments"])))
            }
        except OutgateError as error:
            return _failure(type(error).__name__, error.message, error.hint)
        except Exception as error:
            _log.exception("a request failed")
            return _failure(
                "OutgateError", f"{type(error).__name__}: {error}", "see the daemon's log"
            )

    async def _status(self, _: Arguments) -> Any:
        daemon = self._daemon
        supervisor = daemon.egress.supervisor
        return {
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

    async def _problems(self, _: Arguments) -> Any:
        """Return what is wrong with which resource; the namespace is that of the resource, not of the message."""
        mesh = self._daemon.mesh
        return [
            {
                **dict(zip(("kind", "namespace", "name"), identity, strict=True)),
                "severity": each.severity.value,
                "text": each.text,
            }
            for each in mesh.problems()
            for identity in mesh.meant(each)
        ]

    async def _statuses(self, arguments: Arguments) -> Any:
        """Return the status of each resource of a kind."""
        daemon = self._daemon
        followers = [each.stream for each in daemon.publisher.followers]
        reached = bool(followers) and all(
            each.acknowledged() >= daemon.publisher.revision for each in followers
        )
        refused = {
            name: refusal.message
            for each in followers
            for refusal in each.refusals()
            for name in refusal.names
        }
        return statuses.of_kind(
            daemon.mesh, str(arguments["kind"]), reached=reached, refused=refused
        )

    async def _sync(self, arguments: Arguments) -> Any:
        revision = await self._daemon.sync(Path(each) for each in arguments["files"])
        refused = await self._daemon.settled(revision) if arguments.get("wait", True) else ()
        return {"revision": revision, "refused": list(refused)}

    async def _stop(self, _: Arguments) -> Any:
        self._daemon.stopping.set()
        return {}

    def _view(self, pod: Pod) -> dict[str, Any]:
        domain = self._daemon.layout.settings.trust_domain
        identity = spiffe_id(domain, pod.namespace, pod.service_account)
        return {"manifest": pod.manifest(identity), "init": pod.init.pid if pod.init else None}

    async def _pods(self, _: Arguments) -> Any:
        found = sorted(self._daemon.fleet.pods.values(), key=lambda pod: pod.key)
        return [self._view(each) for each in found]

    async def _create(self, arguments: Arguments) -> Any:
        wanted = pods.request(arguments, self._daemon.layout.settings.capture)
        return self._view(await self._daemon.fleet.create(wanted))

    async def _start(self, arguments: Arguments) -> Any:
        process = await detached.start(self._daemon.fleet, _name(arguments), arguments)
        return {"pid": process.pid}

    async def _delete(self, arguments: Arguments) -> Any:
        fleet = self._daemon.fleet
        removal = fleet.remove(fleet.get(_name(arguments)).key)
        if arguments.get("wait", True):
            await removal
        else:
            fleet.background(removal)
        return {}

    async def _explain(self, arguments: Arguments) -> Any:
        from outgate.host.explaining import explain  # noqa: PLC0415 - rarely asked for

        pod = self._daemon.fleet.get(_name(arguments))
        return explain(self._daemon.mesh, pod.key, arguments["url"])


def _name(arguments: Arguments) -> Name:
    return Name(arguments["namespace"], arguments["name"])


def _failure(kind: str, message: str, hint: str) -> dict[str, Any]:
    return {"error": {"kind": kind, "message": message, "hint": hint}}
