"""What lightkube has no call for: which kinds there are, the server's version, deletions that are only tried."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from outgate.errors import UnavailableError
from outgate.kube.client import ApiError, Client

__all__ = ["ApiError", "Resource", "call", "items", "resources", "text"]

_DISCOVERY = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    for version in ("v2", "v2beta1")
)
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind that a server has; `plural` is its name in paths and rights, `group` is empty for the core's."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return where an object is, or all of a namespace, or all."""
        base = f"apis/{self.group}/{self.version}" if self.group else f"api/{self.version}"
        place = f"/namespaces/{namespace}" if namespace else ""
        return f"{base}{place}/{self.plural}{f'/{name}' if name else ''}"

    def named(self, name: str) -> str:
        """Return how kubectl writes an object of it."""
        return f'{".".join(filter(None, (self.kind.lower(), self.group)))} "{name}"'


async def call(
    client: Client,
    method: str,
    path: str,
    *,
    params: Mapping[str, str] | None = None,
    body: Any = None,
    accept: str = "application/json",
) -> Any:
    """Return what the API server answers; as lightkube's own calls, this raises what `client.TROUBLE` names."""
    generic: Any = client._client
    content = None if body is None else json.dumps(body)
    headers = {"Accept": accept, "Content-Type": "application/json"}
    request = generic._client.build_request(
        method, path, params=params, content=content, headers=headers
    )
    response = await generic.send(request)
    generic.raise_for_status(response)
    return response.json()


async def text(client: Client, path: str, params: Mapping[str, str]) -> str:
    """Return what is no JSON, as a log; it raises as `call` does."""
    generic: Any = client._client
    response = await generic.send(generic._client.build_request("GET", path, params=params))
    generic.raise_for_status(response)
    return str(response.text)


async def items(client: Client, path: str, labels: str = "") -> AsyncIterator[dict[str, Any]]:
    """Yield all objects at a path that have labels, fetched in pieces; version and kind are not in each."""
    params = {"limit": str(_CHUNK), "labelSelector": labels}
    while True:
        found = await call(client, "GET", path, params=params)
        for each in found.get("items") or ():
            yield each
        if not (rest := found["metadata"].get("continue")):
            return
        params["continue"] = rest


async def resources(client: Client) -> list[Resource]:
    """Return all kinds that the server has, each in the version that it prefers."""
    found: dict[tuple[str, str], Resource] = {}
    for path in ("api", "apis"):
        answer = await call(client, "GET", path, accept=_DISCOVERY)
        if answer.get("kind") != "APIGroupDiscoveryList":
            raise UnavailableError(
                "this cluster's version of Kubernetes is too old", hint="1.30 or later is needed"
            )
        for group in answer.get("items") or ():
            for each in _of_group(group):
                found.setdefault((each.group, each.plural), each)
    return list(found.values())


def _of_group(group: Mapping[str, Any]) -> list[Resource]:
    return [
        Resource(
            group["metadata"].get("name", ""),
            version["version"],
            each["resource"],
            each["responseKind"]["kind"],
            each["scope"] == "Namespaced",
            tuple(each.get("verbs") or ()),
        )
        for version in group.get("versions") or ()
        for each in version.get("resources") or ()
        if each.get("responseKind")
    ]
