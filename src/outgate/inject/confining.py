"""What a workload's own containers may keep of what gets round capture, and which say that they need it.

Packets of a packet socket are in no output hook of the kernel, and a raw socket makes packets of any kind: both need
NET_RAW, which container runtimes give by default. Capabilities are as `securityContext.capabilities` names them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

RAW, ALL = "NET_RAW", "ALL"
UNDOING = ("NET_ADMIN", RAW, "SYS_ADMIN", "SYS_MODULE", "BPF", ALL)
"""Change rules, make packets that no rule sees, enter another network namespace, or change the kernel."""
_LEADING_OUT = ("/run", "/var/run", "/proc")
"""Folders of the node in which there are container runtimes' sockets, or other processes' namespaces."""


def confined(container: Mapping[str, Any]) -> dict[str, Any]:
    """Return a container without NET_RAW, or as it is where it asks for that, or says already what to drop."""
    context = container.get("securityContext")
    capabilities = _at(context, "capabilities")
    if not all(isinstance(each, Mapping | None) for each in (context, capabilities)):
        return dict(container)
    dropped = _at(capabilities, "drop") or []
    if not isinstance(dropped, list) or _at(context, "privileged") is True:
        return dict(container)
    if {RAW, ALL} & {*_names(dropped), *_names(_at(capabilities, "add"))}:
        return dict(container)
    kept = {**(capabilities or {}), "drop": [*dropped, RAW]}
    return {**container, "securityContext": {**(context or {}), "capabilities": kept}}


def warnings(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what can get round capture in a pod's spec: the field's path below the template, and a message."""
    if spec.get("hostPID") is True:
        yield "spec.hostPID", f"the pod sees the node's processes: {_ROUND}"
    for index, volume in enumerate(_listed(spec, "volumes")):
        path = _at(_at(volume, "hostPath"), "path")
        if isinstance(path, str) and _leads_out(path):
            message = f"volume {volume.get('name')!r} is the node's {path}: what mounts {_ROUND}"
            yield f"spec.volumes[{index}].hostPath.path", message
    for group in ("initContainers", "containers"):
        for index, container in enumerate(_listed(spec, group)):
            if reason := _undoing(container):
                where = f"spec.{group}[{index}].securityContext"
                yield where, f"container {container.get('name')!r} {reason}: {_ROUND}"


_ROUND = "it can get round capture"


def _undoing(container: Mapping[str, Any]) -> str:
    context = container.get("securityContext")
    if _at(context, "privileged") is True:
        return "is privileged"
    added = _names(_at(_at(context, "capabilities"), "add"))
    found = [each for each in UNDOING if each in added]
    return f"adds {', '.join(found)}" if found else ""


def _leads_out(path: str) -> bool:
    plain = "/" + path.strip("/")
    return plain == "/" or any(
        plain == each or plain.startswith(each + "/") for each in _LEADING_OUT
    )


def _names(listed: Any) -> set[str]:
    """Return the capabilities of a list, without the prefix that some runtimes take too."""
    items = listed if isinstance(listed, list) else []
    return {each.upper().removeprefix("CAP_") for each in items if isinstance(each, str)}


def _listed(spec: Mapping[str, Any], group: str) -> list[Mapping[str, Any]]:
    listed = spec.get(group)
    items = listed if isinstance(listed, list) else []
    return [each for each in items if isinstance(each, Mapping)]


def _at(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None
