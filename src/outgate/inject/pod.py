"""Adds capture to one pod template: who decides about injection besides `kube-inject` uses this as well.

Only outbound connections are captured: probes, which the kubelet sends in from outside, stay as the workload has them.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

from outgate.inject.options import Options, Sidecar
from outgate.xds import naming

STATUS, INJECT = "outgate.dev/status", "outgate.dev/inject"
"""Annotations: that a pod has capture, and whether it may get it (the latter is looked for among its labels too)."""
INIT, PROXY = "outgate-init", "outgate-proxy"
CAPTURE_COMMAND = ("outgate", "capture-rules", "apply")
BOOTSTRAP_MAP, CA_MAP = "outgate-sidecar", "outgate-ca"
"""ConfigMaps in the pod's namespace: `bootstrap.yaml`, and `ca.pem`, which the control plane's certificate chains to.

The bootstrap has all but the addresses: those, and the proxy's identity, are in the proxy's arguments.
"""
TOKEN_AUDIENCE, TOKEN_SECONDS = "outgate", 3600
READY_PORT, READY_PATH = 15021, "/healthz/ready"
"""Where the bootstrap's own listener answers once the proxy has its configuration; both are Istio's."""

_CONFIG, _CA, _TOKEN = "/etc/outgate/config", "/etc/outgate/ca", "/etc/outgate/token"
_CONFIG_VOLUME, _CA_VOLUME = "outgate-config", "outgate-ca"
_TOKEN_VOLUME, _RUN_VOLUME = "outgate-token", "outgate-run"

Pod = dict[str, Any]


def reason_to_skip(template: Mapping[str, Any]) -> str:
    """Say why a template is to be left alone; empty: it is not."""
    metadata, spec = _mapping(template, "metadata"), _mapping(template, "spec")
    annotations = _mapping(metadata, "annotations")
    if STATUS in annotations:
        return "it has capture already"
    for where, said in (
        ("annotation", annotations.get(INJECT)),
        ("label", _mapping(metadata, "labels").get(INJECT)),
    ):
        if str(said).lower() == "false":
            return f'the {where} {INJECT} is "false"'
    if spec.get("hostNetwork") is True:
        return "it uses the host's network (hostNetwork: true), which is not captured"
    if _mapping(spec, "os").get("name") == "windows":
        return "it runs on Windows"
    return ""


def warnings(template: Mapping[str, Any], options: Options) -> Iterator[tuple[str, str]]:
    """Yield what may not work as meant: the field's path below the template, and a message."""
    spec = _mapping(template, "spec")
    pod_user = _mapping(spec, "securityContext").get("runAsUser")
    for group in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(group) or ()):
            user = _mapping(container, "securityContext").get("runAsUser", pod_user)
            if user == options.proxy_uid:
                yield (
                    f"spec.{group}[{index}]",
                    f"container {container.get('name')!r} runs as user {user}, the proxy's own: it is not captured",
                )
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
    for group in ("containers", "initContainers", "volumes"):
        listed = spec.get(group)
        if listed is None and group != "containers":
            continue
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            return f"spec.{group}", "must be a list of mappings"
        ours = _OURS[group == "volumes"]
        for index, each in enumerate(listed):
            if each.get("name") in ours:
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
    annotations = metadata.get("annotations") or {}
    metadata["annotations"] = annotations | {STATUS: f"injected-version-{options.version}"}
    first, second = [_init(options)], _proxy(options)
    if options.sidecar is Sidecar.NATIVE:
        first.append(second | {"restartPolicy": "Always"})
    else:
        spec["containers"] = [second, *spec["containers"]]
    spec["initContainers"] = [*first, *(spec.get("initContainers") or ())]
    spec["volumes"] = [*(spec.get("volumes") or ()), *_volumes()]
    security = spec.get("securityContext") or {}
    # The projected token belongs to root, and to this group.
    spec["securityContext"] = {"fsGroup": options.proxy_uid} | security
    return pod


def _at(value: Any, path: str) -> Any:
    """Return what stands at a dotted path; None where there is nothing."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    """Return the mapping at `key`; an empty one where there is none."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _init(options: Options) -> Pod:
    arguments = [
        f"--capture-port={naming.CAPTURE_PORT}",
        f"--raw-port={naming.RAW_PORT}",
        f"--dns-port={naming.DNS_PORT}",
        f"--proxy-uid={options.proxy_uid}",
    ]
    if options.include:
        arguments.append(f"--include={','.join(str(each) for each in options.include)}")
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
        # iptables, where it is needed, keeps its lock there.
        "volumeMounts": [{"name": _RUN_VOLUME, "mountPath": "/run"}],
    }


def _proxy(options: Options) -> Pod:
    return {
        "name": PROXY,
        "image": options.proxy_image,
        "imagePullPolicy": options.pull_policy.value,
        "command": ["envoy"],
        "args": _arguments(options),
        "env": [
            _downward("POD_NAME", "metadata.name"),
            _downward("POD_NAMESPACE", "metadata.namespace"),
            _downward("POD_IP", "status.podIP"),
            _downward("SERVICE_ACCOUNT", "spec.serviceAccountName"),
        ],
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        # Up to a minute: the node may still be pulling the control plane's image.
        "startupProbe": {
            "httpGet": {"path": READY_PATH, "port": READY_PORT},
            "periodSeconds": 1,
            "failureThreshold": 60,
        },
        "securityContext": {
            "runAsUser": options.proxy_uid,
            "runAsGroup": options.proxy_uid,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": _CONFIG_VOLUME, "mountPath": _CONFIG, "readOnly": True},
            {"name": _CA_VOLUME, "mountPath": _CA, "readOnly": True},
            {"name": _TOKEN_VOLUME, "mountPath": _TOKEN, "readOnly": True},
            {"name": _RUN_VOLUME, "mountPath": "/run/outgate"},
        ],
    }


def _arguments(options: Options) -> list[str]:
    # Envoy takes no `--flag=value`.
    return [
        *("--config-path", f"{_CONFIG}/bootstrap.yaml"),
        *("--config-yaml", json.dumps(_dynamic(options), indent=2)),
        *("--service-node", "sidecar~$(POD_NAME).$(POD_NAMESPACE)"),
        *("--service-cluster", "$(SERVICE_ACCOUNT).$(POD_NAMESPACE)"),
        *("--log-level", options.log_level),
        *("--concurrency", "1"),
        "--disable-hot-restart",
    ]


def _dynamic(options: Options) -> Pod:
    """Return the part of the bootstrap that the flags decide; Envoy merges it into the file.

    Google's client is used as it reads the token from a file anew for each stream.
    """
    token = {
        "name": "envoy.grpc_credentials.file_based_metadata",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.config.grpc_credential.v3.FileBasedMetadataConfig",
            "secret_data": {"filename": f"{_TOKEN}/token"},
            "header_key": "authorization",
            "header_prefix": "Bearer ",
        },
    }
    google = {
        "target_uri": options.xds_address,
        "stat_prefix": "xds",
        "credentials_factory_name": "envoy.grpc_credentials.file_based_metadata",
        "channel_credentials": {
            "ssl_credentials": {"root_certs": {"filename": f"{_CA}/ca.pem"}},
        },
        "call_credentials": [{"from_plugin": token}],
    }
    return {
        "node": {"metadata": {"outgate": {"egress": options.egress_address}}},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"google_grpc": google}],
            },
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
        },
    }


def _downward(name: str, path: str) -> Pod:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _volumes() -> list[Pod]:
    token = {
        "audience": TOKEN_AUDIENCE,
        "expirationSeconds": TOKEN_SECONDS,
        "path": "token",
    }
    return [
        {"name": _CONFIG_VOLUME, "configMap": {"name": BOOTSTRAP_MAP}},
        {"name": _CA_VOLUME, "configMap": {"name": CA_MAP}},
        {"name": _TOKEN_VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}},
        {"name": _RUN_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
    ]


# What capture adds a field to.
_MAPPINGS = ("metadata", "metadata.annotations", "spec.securityContext")
_OURS = ((INIT, PROXY), (_CONFIG_VOLUME, _CA_VOLUME, _TOKEN_VOLUME, _RUN_VOLUME))
