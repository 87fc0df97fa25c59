"""Tries whether pods can be captured: a short-lived pod on each kind of node sets the rules in its own network.

It is what an injected pod's init container does, with the same image and rights, in a namespace that is removed again.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from outgate.inject import pod
from outgate.inject.options import Options
from outgate.kube import client as api
from outgate.kube import plain
from outgate.kube.checks import health
from outgate.kube.checks.findings import Finding, error, ok, warning
from outgate.kube.client import Client
from outgate.kube.objects import PART

Item = dict[str, Any]
SECONDS = 90.0
"""For all of them together: the image may have to be pulled."""
_MOST, _PAUSE = 10, 0.3
_OVER = ("Succeeded", "Failed")


async def probe(client: Client, options: Options) -> list[Finding]:
    """Return what came of it on each kind of node, by architecture, kernel and runtime."""
    nodes = [each async for each in plain.items(client, "api/v1/nodes")]
    chosen = representatives(nodes)
    async with _namespace(client) as namespace:
        path = f"api/v1/namespaces/{namespace}/pods"
        for number, each in enumerate(chosen.values()):
            body = manifest(f"probe-{number}", each, options)
            await plain.call(client, "POST", path, body=body)
        found = await _finished(client, path)
        results = []
        for number, what in enumerate(chosen):
            item = found[f"probe-{number}"]
            results.append(judged(what, item, await _log(client, path, item)))
    return results


def representatives(nodes: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return a node's name for each kind of Linux node that differs where capture might."""
    found: dict[str, str] = {}
    for each in nodes:
        info = each["status"]["nodeInfo"]
        if info["operatingSystem"] != "linux":
            continue
        parts = (info["architecture"], info["kernelVersion"], info["containerRuntimeVersion"])
        found.setdefault(", ".join(parts), each["metadata"]["name"])
    return dict(list(found.items())[:_MOST])


def manifest(name: str, node: str, options: Options) -> Item:
    """Return the pod: the init container of an injected one, on a node, with rules that leave nothing out."""
    container = _init(options)
    expression = {"key": "metadata.name", "operator": "In", "values": [node]}
    terms = {"nodeSelectorTerms": [{"matchFields": [expression]}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {**PART, "outgate.dev/inject": "false"}},
        "spec": {
            "restartPolicy": "Never",
            "enableServiceLinks": False,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}},
            "tolerations": [{"operator": "Exists"}],
            "containers": [container],
            "volumes": [{"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}],
        },
    }


def _init(options: Options) -> Item:
    """Return the init container of an injected pod, without what the namespace's ConfigMap says."""
    whole = pod.inject({"spec": {"containers": []}}, options)["spec"]["initContainers"]
    init: Item = next(each for each in whole if each["name"] == pod.INIT)
    arguments = [each for each in init["args"] if "-from=" not in each]
    mounts = [{"name": "run", "mountPath": "/run"}]
    return {**init, "name": "probe", "args": arguments, "volumeMounts": mounts}


def judged(what: str, item: Mapping[str, Any], log: str) -> Finding:
    """Judge a pod that ended, or did not in time."""
    phase = (item.get("status") or {}).get("phase")
    said = log.strip().splitlines()[-1].removeprefix("error: ") if log.strip() else ""
    if phase == "Succeeded":
        return ok("probe", f"pods can be captured on {what}: {said or 'the rules are accepted'}")
    why = health.trouble(item)
    if phase == "Failed":
        hint = "the node's kernel needs nf_tables, with nat, or the same of iptables"
        return error("probe", f"pods cannot be captured on {what}: {said or why}", hint)
    reason = why or "it did not end in time"
    return warning(
        "probe", f"not known for {what}: {reason}", "see --hub, --tag, --imagePullPolicy"
    )


@asynccontextmanager
async def _namespace(client: Client) -> AsyncIterator[str]:
    """Have a namespace, and wait until it is gone again."""
    name = f"outgate-check-{secrets.token_hex(3)}"
    labels = {**PART, "pod-security.kubernetes.io/enforce": "privileged"}
    metadata = {"name": name, "labels": labels}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    await plain.call(client, "POST", "api/v1/namespaces", body=body)
    path = f"api/v1/namespaces/{name}"
    try:
        # Without it no pod is made, and a controller makes it.
        await _until(client, f"{path}/serviceaccounts/default", there=True)
        yield name
    finally:
        await plain.call(client, "DELETE", path)
        await _until(client, path, there=False)


async def _until(client: Client, path: str, *, there: bool) -> None:
    for _ in range(int(SECONDS / _PAUSE)):
        if await _exists(client, path) is there:
            return
        await asyncio.sleep(_PAUSE)


async def _exists(client: Client, path: str) -> bool:
    try:
        await plain.call(client, "GET", path)
    except api.ApiError as error:
        if api.code(error) == api.NOT_FOUND:
            return False
        raise
    return True


async def _finished(client: Client, path: str) -> dict[str, Item]:
    """Return the pods by name, when all have ended or there is no more time."""
    deadline = time.monotonic() + SECONDS
    while True:
        found = {each["metadata"]["name"]: each async for each in plain.items(client, path)}
        if all(each["status"].get("phase") in _OVER for each in found.values()):
            return found
        if time.monotonic() > deadline:
            return found
        await asyncio.sleep(_PAUSE)


async def _log(client: Client, path: str, item: Item) -> str:
    try:
        return await plain.text(client, f"{path}/{item['metadata']['name']}/log", {})
    except api.ApiError:
        # It has none where its container never ran.
        return ""
