"""A client for Envoy's admin interface, which Outgate offers on a Unix socket only."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from outgate.errors import UnavailableError


class Admin:
    """Envoy's admin interface at the Unix socket `socket`; `timeout` is seconds for one whole call.

    Each call is a connection of its own, so there is nothing to close and a restarted Envoy is no
    special case. Every method raises UnavailableError if Envoy does not answer, or refuses. Answers
    are Envoy's JSON as it is, described under "Administration interface" in Envoy's documentation.
    """

    def __init__(self, socket: Path, *, timeout: float = 5.0) -> None:
        """Connect to nothing yet."""
        self._socket = socket
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def ready(self) -> bool:
        """Tell whether Envoy is LIVE: initialised and serving; False also while it drains."""
        status, _ = await self._call("GET", "/ready", {})
        return status == HTTPStatus.OK

    async def server_info(self) -> dict[str, Any]:
        """Return version, state, uptime and command line."""
        return await self._get("/server_info", {})

    async def stats(self, pattern: str = "", *, used_only: bool = False) -> dict[str, int | str]:
        """Return counters, gauges and texts by name; `pattern` is RE2; histograms are left out."""
        query = {"format": "json"} | ({"filter": pattern} if pattern else {})
        answer = await self._get("/stats", query | ({"usedonly": ""} if used_only else {}))
        return {stat["name"]: stat["value"] for stat in answer["stats"] if "name" in stat}

    async def listeners(self) -> list[dict[str, Any]]:
        """Return each active listener with `name` and `local_address`."""
        answer = await self._get("/listeners", {"format": "json"})
        return list(answer.get("listener_statuses", []))

    async def clusters(self, pattern: str = "") -> list[dict[str, Any]]:
        """Return the clusters whose names match the RE2 `pattern`, with hosts and their health."""
        query = {"format": "json"} | ({"filter": pattern} if pattern else {})
        return list((await self._get("/clusters", query)).get("cluster_statuses", []))

    async def config_dump(
        self, *, resource: str = "", mask: str = "", name: str = "", endpoints: bool = False
    ) -> list[dict[str, Any]]:
        """Return the configuration that Envoy has loaded, a list of parts.

        `resource` is a field of the dump (`dynamic_listeners`), `mask` a field mask within it,
        `name` an RE2 pattern for resource names; `endpoints` includes EDS.
        """
        asked = {"resource": resource, "mask": mask, "name_regex": name}
        query = {key: value for key, value in asked.items() if value}
        answer = await self._get("/config_dump", query | ({"include_eds": ""} if endpoints else {}))
        return list(answer.get("configs", []))

    async def certs(self) -> list[dict[str, Any]]:
        """Return the certificates in use, each with `ca_cert` and `cert_chain`."""
        return list((await self._get("/certs", {})).get("certificates", []))

    async def drain(self) -> None:
        """Ask clients to go (`connection: close`, GOAWAY); stop listening after the drain time."""
        await self._post("/drain_listeners", {"graceful": ""})

    async def reopen_logs(self) -> None:
        """Make Envoy open its access logs anew, as is needed once one was renamed."""
        await self._post("/reopen_logs", {})

    async def quit(self) -> None:
        """Make Envoy exit at once, open requests or not."""
        await self._post("/quitquitquit", {})

    async def _get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        status, body = await self._call("GET", path, query)
        try:
            answer = json.loads(body) if status == HTTPStatus.OK else None
        except ValueError as error:
            raise self._refused(path, status, body) from error
        if not isinstance(answer, dict):
            raise self._refused(path, status, body)
        return answer

    async def _post(self, path: str, query: Mapping[str, str]) -> None:
        status, body = await self._call("POST", path, query)
        if status != HTTPStatus.OK:
            raise self._refused(path, status, body)

    def _refused(self, path: str, status: int, body: str) -> UnavailableError:
        said = body.strip()[:200] or "nothing"
        return UnavailableError(
            f"Envoy's admin at {self._socket} answered {path} with {status}: {said}"
        )

    async def _call(self, method: str, path: str, query: Mapping[str, str]) -> tuple[int, str]:
        connector = aiohttp.UnixConnector(path=str(self._socket), force_close=True)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=self._timeout) as session,
                session.request(method, f"http://admin{path}", params=query) as response,
            ):
                return response.status, await response.text()
        except (aiohttp.ClientError, OSError) as error:
            # The library's own text for a failed connection has no reason in it.
            cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
            reason = str(cause) or "no answer in time"
            raise UnavailableError(
                f"Envoy's admin at {self._socket} does not answer: {reason}",
                hint="is Envoy running?",
            ) from error
