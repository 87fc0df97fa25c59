"""Adds capture to one pod template: who decides about injection besides `kube-inject` uses this as well.

Only outbound connections are captured: probes, which the kubelet sends in from outside, stay as the workload has them.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

from outgate.errors import UsageError
from outgate.inject import annotations, bootstrap, confining
from outgate.inject.options import Options, Sidecar
from outgate.xds import naming

STATUS, INJECT = "outgate.dev/status", "outgate.dev/inject"
"""Annotations: that a pod has capture, and whether it may get it (the latter is looked for among its labels too)."""
CAPTURED = "it has capture already"
CAPTURED_LABEL = "outgate.dev/captured"
"""A label with the value "true": by it network policies choose pods that have capture."""
INIT, PROXY = "outgate-init", "outgate-proxy"
CAPTURE_COMMAND = ("outgate", "capture-rules", "apply")
LINGER_SECONDS = 5
"""How long a sidecar that is not native goes on when its pod is to end; Istio's number for draining."""
MAX_CONNECTIONS = 20_000
"""Of one workload, open at once."""
PROXY_MEBIBYTES = 512
"""Memory limit of the sidecar: without one, a workload that has one could fill the node by what it sends through it.

It takes 70 MiB idle; thousands of busy connections fit, and Envoy ends those that hold most before the kernel ends it.
"""

Pod = dict[str, Any]


def reason_to_skip(template: Mapping[str, Any]) -> str:
    """Say why a template is to be left alone; empty: it is not."""
    metadata, spec = _mapping(template, "metadata"), _mapping(template, "spec")
    said = _mapping(metadata, "annotations")
    # The annotation alone proves nothing: anybody may have written it.
    if STATUS in said and INIT in _names(spec, "initContainers"):
        return CAPTURED
    for where, value in (
        ("annotation", said.get(INJECT)),
        ("label", _mapping(metadata, "labels").get(INJECT)),
    ):
        if str(value).lower() == "false":
            return f'the {where} {INJECT} is "false"'
    if spec.get("hostNetwork") is True:
        return "it uses the host's network (hostNetwork: true), which is not captured"
    if _mapping(spec, "os").get("name") == "windows":
        return "it runs on Windows"
    return ""


def status(options: Options) -> str:
    """Return what the annotation says."""
    return f"injected-version-{options.version}"


def warnings(template: Mapping[str, Any], options: Options) -> Iterator[tuple[str, str]]:
    """Yield what may not work as meant: the field's path below the template, and a message."""
    spec = _mapping(template, "spec")
    pod_user = _mapping(spec, "securityContext").get("runAsUser")
    for group in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(group) or ()):
            user = _mapping(container, "securityContext").get("runAsUser", pod_user)
            if user == options.proxy_uid:
                message = (
                    f"container {container.get('name')!r} runs as user {user}, the proxy's own"
                )
                yield f"spec.{group}[{index}]", f"{message}: its calls outside are refused"
    yield from confining.warnings(spec)
    if options.sidecar is Sidecar.CONTAINER and spec.get("initContainers"):
        message = "these run before the sidecar does, so that they reach nothing that is captured"
        yield "spec.initContainers", message


def problem(template: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return what keeps a template from being injected: the field's path below it, and a message."""
    spec = template.get("spec")
    if not isinstance(spec, dict):
        return "spec", "a pod template needs a spec with containers"
    wrong = (each for each in _MAPPINGS if not isinstance(_at(template, each), Mapping | None))
    if path := next(wrong, ""):
        return path, "must be a mapping"
    try:
        annotations.apply(_at(template, "metadata.annotations") or {}, Options())
    except UsageError as error:
        return "metadata.annotations", str(error)
    return next((found for group in _GROUPS if (found := _wrong_group(spec, group))), None)


def _wrong_group(spec: Mapping[str, Any], group: str) -> tuple[str, str] | None:
    listed = spec.get(group)
    if listed is None and group != "containers":
        return None
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        return f"spec.{group}", "must be a list of mappings"
    for index, each in enumerate(listed):
        if each.get("name") in _OURS[group == "volumes"]:
            message = f"the name {each['name']!r} is needed for capture"
            return f"spec.{group}[{index}].name", message
    return None


def inject(template: Mapping[str, Any], options: Options) -> Pod:
    """Return the template with capture; it must have no `problem` and no `reason_to_skip`."""
    pod: Pod = copy.deepcopy(dict(template))
    if not isinstance(pod.get("metadata"), dict):
        own_spec = pod.pop("spec")
        pod = {**pod, "metadata": {}, "spec": own_spec}
    metadata, spec = pod["metadata"], pod["spec"]
    said = metadata.get("annotations") or {}
    options = annotations.apply(said, options)
    metadata["annotations"] = said | {STATUS: status(options)}
    metadata["labels"] = (metadata.get("labels") or {}) | {CAPTURED_LABEL: "true"}
    own = {group: list(map(confining.confined, spec.get(group) or ())) for group in _GROUPS[:2]}
    first, second = [_init(options)], _proxy(options)
    if options.sidecar is Sidecar.NATIVE:
        first.append(second | {"restartPolicy": "Always"})
    else:
        own["containers"].insert(0, second | _lingering(spec))
    spec["containers"] = own["containers"]
    spec["initContainers"] = [*first, *own["initContainers"]]
    spec["volumes"] = [*(spec.get("volumes") or ()), *bootstrap.volumes()]
    return pod


def _at(value: Any, path: str) -> Any:
    """Return what stands at a dotted path; None where there is nothing."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _names(spec: Mapping[str, Any], group: str) -> set[Any]:
    listed = spec.get(group)
    items = listed if isinstance(listed, list) else []
    return {each.get("name") for each in items if isinstance(each, Mapping)}


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    """Return the mapping at `key`; an empty one where there is none."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _init(options: Options) -> Pod:
    arguments = [
        f"--capture-port={naming.CAPTURE_PORT}",
        f"--raw-port={naming.RAW_PORT}",
        f"--proxy-uid={options.proxy_uid}",
        f"--exclude-from={bootstrap.MESH}/{bootstrap.RANGES_KEY}",
        f"--proxy-from={bootstrap.MESH}/{bootstrap.REACH_KEY}",
    ]
    if options.dns_capture:
        # Calls outside of the ranges go straight out, so that names outside are to have their addresses.
        port = naming.DNS_FORWARD_PORT if options.include else naming.DNS_PORT
        arguments.append(f"--dns-port={port}")
    for flag, values in (
        ("include", options.include),
        ("exclude", options.exclude),
        ("include-ports", options.include_ports),
        ("exclude-ports", options.exclude_ports),
    ):
        if values:
            arguments.append(f"--{flag}={','.join(str(each) for each in values)}")
    return {
        "name": INIT,
        "image": options.image,
        "imagePullPolicy": options.pull_policy.value,
        "command": list(CAPTURE_COMMAND),
        "args": arguments,
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "securityContext": {
            "runAsUser": 0,
            "runAsGroup": 0,
            "runAsNonRoot": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": bootstrap.MESH_VOLUME, "mountPath": bootstrap.MESH, "readOnly": True},
            # iptables, where it is needed, keeps its lock there.
            {"name": bootstrap.RUN_VOLUME, "mountPath": "/run"},
        ],
    }


def _proxy(options: Options) -> Pod:
    return {
        "name": PROXY,
        "image": options.proxy_image,
        "imagePullPolicy": options.pull_policy.value,
        "command": ["envoy"],
        "args": _arguments(options),
        "env": bootstrap.environment(),
        "resources": {
            "requests": {"cpu": "10m", "memory": "64Mi"},
            "limits": {"memory": f"{PROXY_MEBIBYTES}Mi"},
        },
        # Up to a minute: the node may still be pulling the control plane's image.
        "startupProbe": {
            "httpGet": {"path": naming.READY_PATH, "port": naming.READY_PORT},
            "periodSeconds": 1,
            "failureThreshold": 60,
        },
        "securityContext": bootstrap.security(options.proxy_uid),
        "volumeMounts": bootstrap.mounts(),
    }


def _lingering(spec: Mapping[str, Any]) -> Pod:
    """Return what has a proxy among the others stay a little: all are told to end at once, with calls under way.

    A native sidecar needs none of it: the kubelet ends it after all others.
    """
    grace = spec.get("terminationGracePeriodSeconds")
    seconds = min(LINGER_SECONDS, grace if isinstance(grace, int) else LINGER_SECONDS)
    # Kubernetes takes neither no time, nor more than the pod has.
    return {"lifecycle": {"preStop": {"sleep": {"seconds": seconds}}}} if seconds > 0 else {}


def _arguments(options: Options) -> list[str]:
    # Envoy takes no `--flag=value`.
    form = bootstrap.render(options.xds_address, MAX_CONNECTIONS, PROXY_MEBIBYTES)
    return [
        *("--config-yaml", json.dumps(form, indent=2)),
        *("--service-node", "sidecar~$(POD_NAME).$(POD_NAMESPACE)"),
        *("--service-cluster", "$(SERVICE_ACCOUNT).$(POD_NAMESPACE)"),
        *("--log-level", options.log_level),
        *("--concurrency", "1"),
        *bootstrap.FLAGS,
    ]


_GROUPS = ("containers", "initContainers", "volumes")
# What capture adds a field to.
_MAPPINGS = ("metadata", "metadata.annotations", "metadata.labels")
_OURS = (
    (INIT, PROXY),
    (bootstrap.MESH_VOLUME, bootstrap.TOKEN_VOLUME, bootstrap.RUN_VOLUME),
)
