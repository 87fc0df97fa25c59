"""How commands learn about a cluster: its pods with the user's own rights, and each controller by `pods/exec`."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from httpx2.websockets import HTTPXWSException, WebSocketUpgradeError

from outgate import errors
from outgate.errors import NotFoundError, OutgateError, UnavailableError
from outgate.kube import capturing, kinds, naming
from outgate.kube import client as api
from outgate.kube.client import Client, Scope
from outgate.model.names import Name

SECONDS = 30.0
CONTAINER = "controller"
Item = Mapping[str, Any]


async def pods(
    client: Client, namespace: str, labels: Mapping[str, str] | None = None
) -> list[Item]:
    """Return the pods of a namespace (`client.ALL`: of all), by namespace and name."""
    try:
        found, _ = await api.listed(client, kinds.POD, Scope(namespace, labels or {}))
    except api.ApiError as error:
        if api.code(error) == 403 and namespace == api.ALL:
            hint = "name one that you may look at, with -n"
            raise UnavailableError(
                f"you may not list the pods of all namespaces: {error}", hint=hint
            ) from error
        raise
    return sorted(found, key=name_of)


def name_of(item: Item) -> Name:
    """Return an object's name."""
    return Name(item["metadata"].get("namespace", ""), item["metadata"]["name"])


async def ours(client: Client, name: str) -> list[Item]:
    """Return the pods of one of our deployments; NotFoundError where there are none."""
    found = await pods(client, naming.SYSTEM_NAMESPACE, {"app.kubernetes.io/name": name})
    if not found:
        hint = "outgate install | kubectl apply -f -, or is this another cluster?"
        raise NotFoundError(f"there is no {name} in namespace {naming.SYSTEM_NAMESPACE}", hint=hint)
    return found


def runs(pod: Item) -> bool:
    """Whether a pod's containers run, as far as its node has said."""
    states = (pod.get("status") or {}).get("containerStatuses") or ()
    return any("running" in (each.get("state") or {}) for each in states)


async def ask(client: Client, pod: Item, path: str, /, **parameters: str) -> Any:
    """Return what the controller of a pod answers; its errors are raised here."""
    name = pod["metadata"]["name"]
    query = f"{path}?{urlencode(parameters)}" if parameters else path
    try:
        done = await client.exec(
            name,
            namespace=naming.SYSTEM_NAMESPACE,
            container=CONTAINER,
            command=["outgate", "controller-debug", query],
            stdout=True,
            stderr=True,
            timeout=SECONDS,
        )
    except WebSocketUpgradeError as error:
        raise _refused(name, error.response.status_code) from error
    except HTTPXWSException as error:
        said = str(error) or type(error).__name__
        raise UnavailableError(f"controller {name}: the connection broke: {said}") from error
    if done.exit_code:
        said = str(done.stderr or done.stdout or "").strip().removeprefix("error: ")
        raise UnavailableError(f"controller {name}: {said or f'exit status {done.exit_code}'}")
    return _read(name, str(done.stdout))


def _refused(name: str, status: int) -> OutgateError:
    if status == 403:
        hint = f"it takes the rights to get and create pods/exec in namespace {naming.SYSTEM_NAMESPACE}"
        return UnavailableError(f"you may not ask controller {name}", hint=hint)
    return UnavailableError(f"controller {name} cannot be asked: the API server answers {status}")


def _read(name: str, text: str) -> Any:
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise UnavailableError(f"controller {name} answers what is not JSON: {error}") from error
    if isinstance(answer, dict) and "error" in answer:
        failure = answer["error"]
        kind = getattr(errors, failure["kind"], OutgateError)
        raise kind(failure["message"], hint=failure["hint"])
    return answer


async def ask_all(client: Client, path: str, /, **parameters: str) -> list[tuple[Item, Any]]:
    """Ask all controllers at once, and return each pod with its answer, or with the OutgateError instead."""
    found = await ours(client, naming.CONTROLLER)

    async def one(pod: Item) -> Any:
        if not runs(pod):
            return UnavailableError(f"controller {pod['metadata']['name']} does not run")
        try:
            return await ask(client, pod, path, **parameters)
        except OutgateError as error:
            return error
        except api.TROUBLE as error:
            return UnavailableError(f"controller {pod['metadata']['name']}: {error}")

    answers = await asyncio.gather(*(one(each) for each in found))
    return list(zip(found, answers, strict=True))


async def ask_any(client: Client, path: str, /, **parameters: str) -> Any:
    """Return the first answer of any controller; where none has one, the error that says most is raised."""
    answers = [answer for _, answer in await ask_all(client, path, **parameters)]
    for answer in answers:
        if not isinstance(answer, OutgateError):
            return answer
    # That all say no is an answer too; that one could not be asked says more.
    raise next((each for each in answers if not isinstance(each, NotFoundError)), answers[0])


async def pod(client: Client, name: str, namespace: str) -> Item:
    """Return a pod; NotFoundError where there is none."""
    return await _get(client, kinds.POD, name, namespace)


async def service(client: Client, name: Name | None) -> Item | None:
    """Return a Service; None where there is none, or the user may not look."""
    if name is None:
        return None
    try:
        return await _get(client, kinds.SERVICE, name.name, name.namespace)
    except (OutgateError, api.ApiError):
        return None


async def _get(client: Client, kind: kinds.Kind, name: str, namespace: str) -> Item:
    try:
        found: Item = await client.get(kind, name, namespace=namespace)
    except api.ApiError as error:
        if api.code(error) == api.NOT_FOUND:
            message = f'pods "{name}" not found in namespace "{namespace}"'
            raise NotFoundError(message, hint="-n names another") from error
        raise
    return found


def node(pod: Item) -> str:
    """Return what the proxy of a pod is called; NotFoundError where it has none."""
    labels = pod["metadata"].get("labels") or {}
    name = name_of(pod)
    if (name.namespace, labels.get("app.kubernetes.io/name")) == (
        naming.SYSTEM_NAMESPACE,
        naming.EGRESS,
    ):
        return f"egress~{name}"
    if capturing.captured(pod) is None:
        raise NotFoundError(f"pod {name} has no proxy: {capturing.reason(pod)}")
    return f"sidecar~{name}"
