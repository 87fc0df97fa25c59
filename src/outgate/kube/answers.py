"""Has every answer of the API server be one that can be read, or else trouble of the kind that is retried.

What stands between us and the API server answers too: a load balancer without a backend, a proxy that is confused. Such
an answer may be a page of HTML, have no content type, or break off; lightkube would fail over it in ways of its own.
"""

import json
from typing import Any

import httpx2

_JSON, _TEXT = "application/json", "text/plain"
_SHOWN = 200


async def check(response: httpx2.Response) -> None:
    """Look at an answer before lightkube does; RemoteProtocolError if it says that all is well and is no JSON."""
    given = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if response.is_error:
        # Taken for the API server's own only where the type is this and nothing else.
        is_status = given == _JSON and isinstance(_read(await response.aread()), dict)
        response.headers["Content-Type"] = _JSON if is_status else _TEXT
    elif response.request.method != "GET" and _read(await response.aread()) is None:
        what = f"{response.request.method} {response.request.url.path}"
        message = f"{what} was answered with {given or 'no content type'}, not with JSON"
        raise httpx2.RemoteProtocolError(message, request=response.request)


def malformed(what: str, error: Exception) -> httpx2.RemoteProtocolError:
    """Return what to raise where an answer has another shape than was asked for."""
    said = f"{type(error).__name__}: {error}"[:_SHOWN]
    return httpx2.RemoteProtocolError(f"the answer about {what} cannot be read: {said}")


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
