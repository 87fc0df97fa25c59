"""Joins what each controller says with the pods that there are: what `outgate status` shows. Without I/O."""

from collections.abc import Iterable, Mapping
from typing import Any

from outgate.errors import OutgateError
from outgate.kube import capturing

Item = Mapping[str, Any]
NOT_CONNECTED = "not connected"


def overview(
    controllers: Iterable[tuple[Item, Any]], egresses: Iterable[Item], pods: Iterable[Item]
) -> dict[str, Any]:
    """Return controllers, egresses and sidecars: `controllers` are pods, each with its answer or an OutgateError."""
    shown, proxies = [], dict[tuple[str, str, str], dict[str, Any]]()
    for pod, answer in controllers:
        shown.append(_controller(pod, answer))
        if isinstance(answer, OutgateError):
            continue
        for proxy in answer["proxies"]:
            key = (proxy["kind"], proxy["namespace"], proxy["pod"])
            known = proxies.get(key)
            # While it moves it is still known to the one that it comes from.
            if known is None or proxy["connected_seconds"] < known["connected_seconds"]:
                proxies[key] = proxy | {"controller": answer["pod"]}
    injected = ((pod, _version(pod)) for pod in pods if not _ended(pod))
    answers = [answer for _, answer in controllers if not isinstance(answer, OutgateError)]
    return {
        "controllers": shown,
        "egresses": [_proxy(each, "egress", proxies) for each in egresses],
        "sidecars": [
            _proxy(pod, "sidecar", proxies) | {"injected": version}
            for pod, version in injected
            if version
        ],
        # Every replica reads everything, so that they agree but for a moment.
        "problems": max((each["problems"] for each in answers), key=len, default=[]),
    }


def _ended(pod: Item) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _version(pod: Item) -> str:
    try:
        found = capturing.captured(pod)
    except OutgateError:
        return "unknown"
    return (found.version or "unknown") if found else ""


def _controller(pod: Item, answer: Any) -> dict[str, Any]:
    name = pod["metadata"]["name"]
    if isinstance(answer, OutgateError):
        return {"pod": name, "error": str(answer)}
    parts = ("version", "ready", "leads", "services", "events_written")
    counts = {"problems": len(answer["problems"]), "proxies": len(answer["proxies"])}
    return {"pod": name, **{part: answer[part] for part in parts}, **counts}


def _proxy(
    pod: Item, kind: str, proxies: Mapping[tuple[str, str, str], Mapping[str, Any]]
) -> dict[str, Any]:
    metadata = pod["metadata"]
    place = {"namespace": metadata["namespace"], "pod": metadata["name"]}
    found = proxies.get((kind, place["namespace"], place["pod"]))
    if found is None:
        nothing: dict[str, Any] = {"controller": "", "envoy": "", "refused": [], "last_nack": None}
        return {**place, "state": NOT_CONNECTED, **nothing}
    parts = ("controller", "envoy", "refused", "last_nack")
    return {**place, "state": _state(found), **{part: found[part] for part in parts}}


def _state(proxy: Mapping[str, Any]) -> str:
    if proxy["refused"]:
        return f"refuses {len(proxy['refused'])}"
    return "synced" if proxy["synced"] else "stale"
