"""The way to the API server: lightkube's client, and a watch that cannot go silent for ever.

lightkube's own watch waits without end on a connection that broke without a word, and asks for no bookmarks: these move
a watch's version on while nothing changes, so that a watch that ended goes on instead of listing everything again.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from lightkube import AsyncClient
from lightkube.config.kubeconfig import SERVICE_ACCOUNT
from lightkube.core.exceptions import ApiError, ConfigError
from lightkube.core.resource import NamespacedResource

from outgate import environment
from outgate.errors import UsageError
from outgate.kube import answers
from outgate.kube import kubeconfig as config
from outgate.kube.kinds import Item, Kind

__all__ = [
    "ALL",
    "TROUBLE",
    "ApiError",
    "Client",
    "ConfigError",
    "Scope",
    "code",
    "connect",
    "follow",
    "listed",
]

Client = AsyncClient
ALL = "*"
"""Stands for all namespaces."""
TROUBLE = (httpx2.HTTPError, httpx2.InvalidURL, OSError)
"""What a call may raise; ApiError, with the server's own answer, is one of them."""
GONE, NOT_FOUND, CONFLICT, FORBIDDEN = 410, 404, 409, 403
WATCH_SECONDS = 240
"""The server ends a watch after it, and the next one goes on; load balancers cut silent connections later."""
SILENCE_SECONDS = 120
"""Bookmarks come each minute, so that a watch that says nothing for longer is broken."""
_CHUNK = 500


def connect(kubeconfig: str = "", context: str = "") -> Client:
    """Return a client for the cluster that a kubeconfig names, or else that this runs in; UsageError for none.

    As kubectl has it, `kubeconfig` wins over KUBECONFIG, and both over the pod that this runs in.
    """
    named = kubeconfig or environment.kubeconfig()
    try:
        if not named and not context and Path(SERVICE_ACCOUNT).exists():
            return checked(Client())
        return checked(Client(config.load(named or config.DEFAULT, context)))
    except (ConfigError, OSError, ValueError) as error:
        hint = "name it by --kubeconfig or KUBECONFIG, or run in one (outgate install)"
        raise UsageError(f"no cluster to connect to: {error}", hint=hint) from error


def checked(client: Client) -> Client:
    """Return a client whose answers are looked at first, see `answers`."""
    generic: Any = client._client
    generic._client.event_hooks["response"].append(answers.check)
    return client


def code(error: BaseException) -> int:
    """Return the HTTP status that was answered; 0 if there was no answer."""
    return error.response.status_code if isinstance(error, httpx2.HTTPStatusError) else 0


@dataclass(frozen=True, slots=True)
class Scope:
    """Which objects of a kind are meant: in a namespace, with labels, with values of fields."""

    namespace: str = ALL
    labels: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)

    def place(self, kind: Kind) -> dict[str, str]:
        """Return lightkube's argument for the namespace; some kinds are in none."""
        return {"namespace": self.namespace} if issubclass(kind, NamespacedResource) else {}


async def listed(client: Client, kind: Kind, scope: Scope) -> tuple[list[Item], str]:
    """Return all objects, fetched in pieces, and the version at which they were read."""
    untyped: Any = client
    found = untyped.list(
        kind,
        chunk_size=_CHUNK,
        labels=dict(scope.labels),
        fields=dict(scope.fields),
        **scope.place(kind),
    )
    try:
        return [each async for each in found], found.resourceVersion
    except (*TROUBLE, asyncio.CancelledError):
        raise
    except Exception as error:
        raise answers.malformed(kind.__name__, error) from error


def _selector(wanted: Mapping[str, str]) -> str | None:
    return ",".join(f"{key}={value}" for key, value in wanted.items()) or None


async def follow(
    client: Client, kind: Kind, scope: Scope, version: str
) -> AsyncIterator[tuple[str, Item]]:
    """Yield events after a version, bookmarks too, until the server ends the watch.

    `TROUBLE` if the connection breaks; an ApiError with code 410 if the version is too old.
    """
    params = {
        "resourceVersion": version,
        "timeoutSeconds": str(WATCH_SECONDS),
        "allowWatchBookmarks": "true",
        "labelSelector": _selector(scope.labels),
        "fieldSelector": _selector(scope.fields),
    }
    generic: Any = client._client
    request = generic.build_adapter_request(
        generic.prepare_request("list", kind, watch=True, params=params, **scope.place(kind))
    )
    silence = httpx2.Timeout(10.0, read=SILENCE_SECONDS)
    request.extensions = {**request.extensions, "timeout": silence.as_dict()}
    response = await generic.send(request, stream=True)
    try:
        if response.is_error:
            await response.aread()
        generic.raise_for_status(response)
        async for line in response.aiter_lines():
            event, item = _event(line, kind, response)
            yield event, item
    finally:
        await response.aclose()


def _event(line: str, kind: Kind, response: httpx2.Response) -> tuple[str, dict[str, Any]]:
    try:
        event = json.loads(line)
        what, item = str(event["type"]), dict(event["object"])
        error = _error(item, response) if what == "ERROR" else None
        if error is None:
            str(item["metadata"]["resourceVersion"])
    except (ValueError, LookupError, TypeError, RecursionError) as problem:
        raise answers.malformed(kind.__name__, problem) from problem
    if error:
        raise error
    return what, item


def _error(status: dict[str, Any], response: httpx2.Response) -> ApiError:
    answer = httpx2.Response(int(status.get("code") or 500), json=status, request=response.request)
    return ApiError(request=response.request, response=answer)
