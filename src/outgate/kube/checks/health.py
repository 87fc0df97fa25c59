"""Judges an installation: whether its pods are ready, and if not why; versions; whom the API server trusts."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from outgate import __version__
from outgate.inject import bootstrap
from outgate.inject.options import COREDNS_VERSION, ENVOY_VERSION
from outgate.kube import naming
from outgate.kube.checks.findings import Finding, error, ok, some, warning

Item = Mapping[str, Any]
_LOG_HINT = f"kubectl logs -n {naming.SYSTEM_NAMESPACE} deployment/"


def deployment(item: Item, pods: Iterable[Item], said: str) -> Finding:
    """Judge whether all replicas are ready; `said` is the last error in the log of one that is not."""
    name, status = item["metadata"]["name"], item.get("status") or {}
    wanted, ready = item["spec"].get("replicas", 1), status.get("readyReplicas", 0)
    text, hint = f"{ready} of {wanted} ready", f"see {_LOG_HINT}{name}"
    seen = status.get("observedGeneration", 0) >= item["metadata"].get("generation", 0)
    # Ones of the version before may be ready while those of the new one are not.
    if seen and wanted <= ready and wanted == status.get("updatedReplicas") == status["replicas"]:
        return ok(name, text)
    reasons = dict.fromkeys(filter(None, (trouble(each) for each in pods)))
    why = "; ".join([*reasons, *([said] if said else [])])
    if not why and ready >= wanted:
        return warning(name, f"{text}, and others are to take their place", hint)
    return error(name, f"{text}: {why or 'they are starting'}", hint)


def trouble(pod: Item) -> str:
    """Say what keeps a pod from being ready; empty: nothing does, or nothing that is known."""
    status = pod.get("status") or {}
    for each in status.get("conditions") or ():
        if each["type"] == "PodScheduled" and each["status"] != "True":
            return f"not placed on a node: {each.get('message', each.get('reason'))}"
    for each in (
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ):
        state = each.get("state") or {}
        waiting, ended = state.get("waiting"), state.get("terminated")
        if waiting and waiting.get("reason") not in ("ContainerCreating", "PodInitializing"):
            return _waiting(each, waiting)
        if ended and ended.get("exitCode"):
            return f"{each['name']} ended with status {ended['exitCode']}"
        if each.get("restartCount") and not each.get("ready"):
            return f"{each['name']} was restarted {each['restartCount']} times"
    return ""


def _waiting(container: Item, waiting: Item) -> str:
    message = str(waiting.get("message") or "").strip()
    return f"{container['name']}: {waiting['reason']}{f' ({message})' if message else ''}"


def last_error(log: str) -> str:
    """Return what a program of ours said last about why it ended; empty if nothing."""
    found = re.findall(r"^error: (.+)$", log, re.MULTILINE)
    return str(found[-1]) if found else ""


def versions(deployments: Iterable[Item]) -> Iterator[Finding]:
    """Compare the images with what this program would install."""
    for item in deployments:
        for container in item["spec"]["template"]["spec"]["containers"]:
            name, _, tag = container["image"].partition("@")[0].rpartition(":")
            wanted = {
                "outgate": __version__,
                "envoy": ENVOY_VERSION,
                "coredns": COREDNS_VERSION,
            }.get(name.rpartition("/")[2])
            if wanted is None or tag == wanted:
                continue
            text = f"{container['name']} is {tag}, this program is made for {wanted}"
            yield warning("versions", text, "use the same version of both")
            return
    yield ok("versions", f"{__version__}, Envoy {ENVOY_VERSION}")


def trust(webhook: Item | None) -> Finding:
    """Judge whether the API server knows whom to trust; without it no pod of a labelled namespace is made."""
    if webhook is None:
        hint = "apply outgate install again: no pod is captured as it is made"
        return error("webhook", "it is not there", hint)
    bare = [
        each["name"]
        for each in webhook.get("webhooks") or ()
        if not each["clientConfig"].get("caBundle")
    ]
    if bare:
        hint = "the controller sets it once it is ready; until then no such pod is made"
        return error("webhook", f"caBundle is not set for {some(bare)}", hint)
    return ok("webhook", "the API server knows whom to trust")


def maps(namespaces: Iterable[Item], having: set[str]) -> Finding:
    """Judge whether each labelled namespace has what injected pods start with."""
    lacking = [each["metadata"]["name"] for each in namespaces]
    if lacking := [each for each in lacking if each not in having]:
        hint = "the controller writes it once it is ready"
        return error("namespaces", f"no ConfigMap {bootstrap.MESH_MAP} in {some(lacking)}", hint)
    return ok("namespaces", f"each has its ConfigMap {bootstrap.MESH_MAP}")


def answer(status: int, message: str, *, injected: bool) -> Finding:
    """Judge what came of a pod that was made for trial, in a way that leaves nothing; `status` 0: it would be made."""
    # Pod Security is asked after the webhook, and names what that has added.
    if injected or "outgate-init" in message:
        return ok("injection", "the API server reaches the webhook, and pods get capture")
    if "failed calling webhook" in message or "no endpoints" in message:
        port = naming.WEBHOOK_PORT
        hint = f"let the API server reach port {port} of the controller's pods"
        return error("injection", f"the API server cannot ask the webhook: {message}", hint)
    if status:
        hint = "see whether you may make pods in namespace default"
        return warning("injection", f"could not be tried: {message}", hint)
    hint = "see kubectl get mutatingwebhookconfiguration outgate -o yaml"
    return error("injection", "a labelled pod gets no capture", hint)
