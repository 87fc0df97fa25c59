"""Takes all of Outgate out of a cluster, whichever version put it there: found by labels, over every kind there is.

The order matters. Whom the API server asks goes first, so that pods can be made again at once; then what writes, so
that nothing is written anew; the namespace is last.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from outgate.errors import UnavailableError
from outgate.kube import client as api
from outgate.kube import namespaces, naming, objects, plain
from outgate.kube.client import Client
from outgate.kube.plain import Resource

SECONDS = 180.0
"""How long to wait for each step: pods have up to a minute to end."""
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_AT_ONCE, _PAUSE = 16, 0.2
_WORK = ("apps", "batch")
# Made from others, which they go with.
_DERIVED = {("", "endpoints"), ("", "events"), ("events.k8s.io", "events")}
_SELECTORS = (objects.PART, namespaces.LABELS)


@dataclass(frozen=True, slots=True)
class Found:
    """One object."""

    resource: Resource
    namespace: str
    name: str
    uid: str

    @property
    def path(self) -> str:
        """Where the API server has it."""
        return self.resource.path(self.namespace, self.name)

    def __str__(self) -> str:
        """As kubectl writes it."""
        return self.resource.named(self.name)

    @property
    def step(self) -> int:
        """When its turn is."""
        resource = self.resource
        if resource.group == "admissionregistration.k8s.io":
            return 0
        if resource.group in _WORK:
            return 1
        if resource.namespaced:
            return 2
        return 4 if resource.kind == "Namespace" else 3


@dataclass(frozen=True, slots=True)
class Search:
    """What there is, in the order in which it is to go, and the kinds that the user may not look for.

    `kept` are definitions of kinds of which there are resources, or may be: the users', which would go with them.
    """

    found: tuple[Found, ...]
    hidden: tuple[Resource, ...]
    kept: tuple[Found, ...] = ()


async def search(client: Client) -> Search:
    """Look for everything of ours."""
    wanted = [each for each in await plain.resources(client) if _may_have_ours(each)]
    results = await _each(wanted, lambda each: _of_kind(client, each))
    hidden = [kind for kind, found in zip(wanted, results, strict=True) if found is None]
    unique = {each.path: each for found in results for each in found or ()}
    kept = await _in_use(client, [each for each in unique.values() if _is_definition(each)], wanted)
    going = [each for each in unique.values() if each not in kept]
    return Search(tuple(sorted(going, key=lambda each: each.step)), tuple(hidden), kept)


def _is_definition(found: Found) -> bool:
    return found.resource.plural == "customresourcedefinitions"


async def _in_use(
    client: Client, definitions: Sequence[Found], known: Sequence[Resource]
) -> tuple[Found, ...]:
    kinds = {f"{each.plural}.{each.group}": each for each in known}
    used = await _each(definitions, lambda each: _has_any(client, kinds.get(each.name)))
    return tuple(each for each, has in zip(definitions, used, strict=True) if has)


async def _has_any(client: Client, resource: Resource | None) -> bool:
    """Whether there is one of a kind; also where the user may not know."""
    if resource is None:
        return False
    try:
        found = await plain.call(client, "GET", resource.path(), params={"limit": "1"})
    except api.ApiError as error:
        if api.code(error) == api.NOT_FOUND:
            return False
        if api.code(error) == 403:
            return True
        raise
    return bool(found["items"])


def _may_have_ours(resource: Resource) -> bool:
    # Kinds of others may be served by what is down; we make none of them.
    own = resource.group.endswith((".k8s.io", "outgate.dev")) or "." not in resource.group
    able = {"list", "delete"} <= set(resource.verbs)
    return own and able and (resource.group, resource.plural) not in _DERIVED


async def _of_kind(client: Client, resource: Resource) -> list[Found] | None:
    """Return our objects of a kind; None where the user may not know."""
    selectors = [_selector(each) for each in _SELECTORS]
    found = []
    try:
        for selector in selectors:
            found += [each async for each in plain.items(client, resource.path(), selector)]
    except api.ApiError as error:
        if api.code(error) in (403, 405):
            return None
        if api.code(error) == api.NOT_FOUND:
            return []
        raise
    if resource.kind == "Secret":
        found += await _authority(client, resource)
    return [_found(resource, each) for each in found if not _is_owned(each)]


async def _authority(client: Client, resource: Resource) -> list[dict[str, Any]]:
    """Return the one Secret, which has no labels."""
    path = resource.path(naming.SYSTEM_NAMESPACE, naming.CA_SECRET)
    try:
        return [await plain.call(client, "GET", path)]
    except api.ApiError as error:
        if api.code(error) == api.NOT_FOUND:
            return []
        raise


def _found(resource: Resource, item: Mapping[str, Any]) -> Found:
    metadata = item["metadata"]
    return Found(resource, metadata.get("namespace", ""), metadata["name"], metadata["uid"])


def _is_owned(item: Mapping[str, Any]) -> bool:
    """Whether it goes with what made it, as pods do with their Deployment."""
    return any(each.get("controller") for each in item["metadata"].get("ownerReferences") or ())


def _selector(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())


async def unlabelled_namespace(client: Client) -> bool:
    """Whether our namespace is there, but not as ours: Helm may have made it."""
    try:
        item = await plain.call(client, "GET", f"api/v1/namespaces/{naming.SYSTEM_NAMESPACE}")
    except api.ApiError as error:
        if api.code(error) in (api.NOT_FOUND, 403):
            return False
        raise
    return not objects.PART.items() <= (item["metadata"].get("labels") or {}).items()


async def refused(client: Client, found: Iterable[Found]) -> list[str]:
    """Try every deletion without doing it; return what the API server has against one."""
    reasons = await _each(found, lambda each: _delete(client, each, dry=True))
    return [each for each in reasons if each]


async def remove(client: Client, found: Sequence[Found], say: Callable[[str], None]) -> None:
    """Delete everything in order, and wait until it is gone; UnavailableError says what stays."""
    for step in sorted({each.step for each in found}):
        now = [each for each in found if each.step == step]

        async def delete(each: Found) -> str:
            reason = await _delete(client, each, dry=False)
            if not reason:
                say(line(each))
            return reason

        reasons = [each for each in await _each(now, delete) if each]
        if reasons:
            hint = "what comes after it stays too, so that the cluster goes on working"
            raise UnavailableError("; ".join(reasons), hint=hint)
        await _wait(client, now)


def line(found: Found) -> str:
    """Say what is deleted, as kubectl does."""
    return f"{found} deleted{f' from {found.namespace} namespace' if found.namespace else ''}"


async def _delete(client: Client, found: Found, *, dry: bool) -> str:
    """Delete, and return why it cannot be; what is gone already is no reason."""
    # Until its pods are gone, so is nothing that they may still write.
    policy = "Foreground" if found.step == 1 else "Background"
    # All of it in the body: beside one, the API server heeds no parameter.
    body = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": policy,
        "preconditions": {"uid": found.uid},
        "dryRun": ["All"] if dry else [],
    }
    try:
        await plain.call(client, "DELETE", found.path, body=body)
    except api.ApiError as error:
        # Another one of the same name is not what was found.
        if api.code(error) not in (api.NOT_FOUND, api.CONFLICT):
            return f"{found} cannot be deleted: {error}"
    return ""


async def _wait(client: Client, found: Sequence[Found]) -> None:
    deadline, left = time.monotonic() + SECONDS, list(found)
    while left:
        stays = await _each(left, lambda each: _is_there(client, each))
        left = [each for each, there in zip(left, stays, strict=True) if there]
        if left and time.monotonic() > deadline:
            names = ", ".join(str(each) for each in left[:5])
            hint = "see kubectl describe; run this again when it is gone"
            raise UnavailableError(f"still there after {SECONDS:g} s: {names}", hint=hint)
        await asyncio.sleep(_PAUSE if left else 0)


async def _is_there(client: Client, found: Found) -> bool:
    try:
        item = await plain.call(client, "GET", found.path)
    except api.ApiError as error:
        if api.code(error) == api.NOT_FOUND:
            return False
        raise
    return bool(item["metadata"]["uid"] == found.uid)


async def _each(
    these: Iterable[_Item], work: Callable[[_Item], Awaitable[_Result]]
) -> list[_Result]:
    """Do the same with each of them, some at once."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(item: _Item) -> _Result:
        async with room:
            return await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(each)) for each in these]
    except ExceptionGroup as errors:
        # The others were cancelled because of it.
        raise errors.exceptions[0] from errors
    return [each.result() for each in tasks]
