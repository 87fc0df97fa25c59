"""What `outgate install` prints: all that Outgate needs in a cluster, with no more rights than it uses."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from outgate.inject import bootstrap, options
from outgate.inject.options import PullPolicy
from outgate.kube import naming
from outgate.xds import naming as xds_naming

Manifest = dict[str, Any]

_USER, _ENVOY_USER = 65532, 101
_CA_FOLDER = "/etc/outgate/upstream"
UPSTREAM_CA = "outgate-upstream-ca"
_PART = {"app.kubernetes.io/part-of": "outgate"}
_DRAIN_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Install:
    """What may be chosen; `ranges` is empty where the cluster names them itself, `ca_bundle` PEM for upstreams' TLS.

    `settings` are environment variables of the controller (docs/settings.md).
    """

    images: options.Options = field(default_factory=options.Options)
    replicas: int = 2
    egress_replicas: int = 2
    ranges: str = ""
    ca_bundle: str = ""
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def pull_policy(self) -> PullPolicy:
        """When images are pulled."""
        return self.images.pull_policy


def manifests(install: Install) -> list[Manifest]:
    """Return all objects, in an order in which they can be made."""
    bundle = [_config(UPSTREAM_CA, {"ca.pem": install.ca_bundle})] if install.ca_bundle else []
    return [
        _namespace(),
        *(
            _object("v1", "ServiceAccount", name, automountServiceAccountToken=False)
            for name in (naming.CONTROLLER, naming.EGRESS)
        ),
        *_rights(),
        *bundle,
        _service(naming.XDS_SERVICE, naming.CONTROLLER, _CONTROLLER_PORTS),
        _service(naming.EGRESS, naming.EGRESS, _EGRESS_PORTS, headless=True),
        _deployment(naming.CONTROLLER, install.replicas, _controller(install)),
        _deployment(naming.EGRESS, install.egress_replicas, _egress(install)),
        *(_budget(name) for name in (naming.CONTROLLER, naming.EGRESS)),
        _webhook(),
    ]


def _object(version: str, kind: str, name: str, **fields: Any) -> Manifest:
    placed = not kind.startswith(("Cluster", "Mutating"))
    namespace = {"namespace": naming.SYSTEM_NAMESPACE} if placed else {}
    metadata = {"name": name, **namespace, "labels": {**_PART, "app.kubernetes.io/name": name}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def _namespace() -> Manifest:
    labels = {**_PART, "pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": naming.SYSTEM_NAMESPACE, "labels": labels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _config(name: str, data: dict[str, str]) -> Manifest:
    return _object("v1", "ConfigMap", name, data=data)


def _rule(group: str, resources: str, verbs: str, *names: str) -> Manifest:
    rule = {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
    return rule | ({"resourceNames": list(names)} if names else {})


def _rights() -> list[Manifest]:
    """Return what the controller may do; the egress may do nothing, and has no token for the API server."""
    everywhere = [
        _rule("", "services namespaces nodes", "list watch"),
        _rule("networking.k8s.io", "servicecidrs", "list watch"),
        _rule("", "configmaps", "list watch create patch", bootstrap.MESH_MAP),
        _rule("authentication.k8s.io", "tokenreviews", "create"),
        _rule(
            "admissionregistration.k8s.io",
            "mutatingwebhookconfigurations",
            "list watch patch",
            naming.WEBHOOK,
        ),
    ]
    own = [
        _rule("", "secrets", "create"),
        _rule("", "secrets", "get", naming.CA_SECRET),
        _rule("discovery.k8s.io", "endpointslices", "list watch"),
    ]
    group, name = "rbac.authorization.k8s.io", naming.CONTROLLER
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": naming.SYSTEM_NAMESPACE}]

    def bound(kind: str, rules: list[Manifest]) -> list[Manifest]:
        reference = {"apiGroup": group, "kind": kind, "name": name}
        return [
            _object(f"{group}/v1", kind, name, rules=rules),
            _object(f"{group}/v1", f"{kind}Binding", name, roleRef=reference, subjects=subjects),
        ]

    return [*bound("ClusterRole", everywhere), *bound("Role", own)]


_CONTROLLER_PORTS = (
    {"name": "xds", "port": naming.XDS_PORT},
    {"name": "webhook", "port": 443, "targetPort": naming.WEBHOOK_PORT},
)
_EGRESS_PORTS = ({"name": "tunnel", "port": xds_naming.TUNNEL_PORT},)


def _service(
    name: str, selected: str, ports: Iterable[Manifest], *, headless: bool = False
) -> Manifest:
    spec: Manifest = {"selector": {"app.kubernetes.io/name": selected}, "ports": list(ports)}
    if headless:
        # The controller tells sidecars each address: they need no name, and notice at once what goes.
        spec["clusterIP"] = "None"
    return _object("v1", "Service", name, spec=spec)


def _deployment(name: str, replicas: int, pod: Manifest) -> Manifest:
    labels = {"app.kubernetes.io/name": name}
    apart = {
        "weight": 100,
        "podAffinityTerm": {
            "labelSelector": {"matchLabels": labels},
            "topologyKey": "kubernetes.io/hostname",
        },
    }
    template = {
        "metadata": {"labels": {**_PART, **labels}},
        "spec": {
            "serviceAccountName": name,
            # Else a Service called outgate becomes environment variables, which read as settings.
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "affinity": {
                "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [apart]}
            },
            **pod,
        },
    }
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        # Never fewer than are wanted, also where one is.
        "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": template,
    }
    return _object("apps/v1", "Deployment", name, spec=spec)


def _controller(install: Install) -> Manifest:
    images = install.images
    arguments = ["controller", f"--hub={images.hub}", f"--tag={images.tag}"]
    arguments.append(f"--imagePullPolicy={images.pull_policy}")
    if install.ranges:
        arguments.append(f"--cluster-ranges={install.ranges}")
    if install.ca_bundle:
        arguments.append(f"--ca-file={_CA_FOLDER}/ca.pem")
    container: Manifest = {
        "name": "controller",
        "image": install.images.image,
        "imagePullPolicy": install.pull_policy.value,
        "args": arguments,
        "env": [{"name": name, "value": value} for name, value in install.settings],
        "ports": [
            {"name": "xds", "containerPort": naming.XDS_PORT},
            {"name": "webhook", "containerPort": naming.WEBHOOK_PORT},
        ],
        "startupProbe": _probe("/healthz", naming.HEALTH_PORT, period=1, failures=60),
        "readinessProbe": _probe("/readyz", naming.HEALTH_PORT, period=1, failures=2),
        "livenessProbe": _probe("/healthz", naming.HEALTH_PORT, period=10, failures=3),
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": bootstrap.security(_USER),
    }
    return {"automountServiceAccountToken": True, "containers": [container]}


def _egress(install: Install) -> Manifest:
    form = bootstrap.render(options.XDS_ADDRESS, 20_000)
    mounts, volumes = bootstrap.mounts(), bootstrap.volumes()
    if install.ca_bundle:
        mounts.append({"name": UPSTREAM_CA, "mountPath": _CA_FOLDER, "readOnly": True})
        volumes.append({"name": UPSTREAM_CA, "configMap": {"name": UPSTREAM_CA}})
    container = {
        "name": "envoy",
        "image": install.images.proxy_image,
        "imagePullPolicy": install.pull_policy.value,
        "command": ["envoy"],
        "args": [
            *("--config-yaml", json.dumps(form, indent=2)),
            *("--service-node", "egress~$(POD_NAME).$(POD_NAMESPACE)"),
            *("--service-cluster", naming.EGRESS),
            *("--log-level", "warning"),
            *bootstrap.FLAGS,
        ],
        "env": bootstrap.environment(),
        "ports": [{"name": "tunnel", "containerPort": xds_naming.TUNNEL_PORT}],
        "startupProbe": _probe(
            xds_naming.READY_PATH, xds_naming.READY_PORT, period=1, failures=120
        ),
        "readinessProbe": _probe(
            xds_naming.READY_PATH, xds_naming.READY_PORT, period=2, failures=2
        ),
        # Sidecars are told to go elsewhere meanwhile, and calls that are open go on.
        "lifecycle": {"preStop": {"sleep": {"seconds": 10}}},
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": bootstrap.security(_ENVOY_USER),
        "volumeMounts": mounts,
    }
    return {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": _DRAIN_SECONDS,
        "containers": [container],
        "volumes": volumes,
    }


def _probe(path: str, port: int, *, period: int, failures: int) -> Manifest:
    request = {"path": path, "port": port}
    return {"httpGet": request, "periodSeconds": period, "failureThreshold": failures}


def _webhook() -> Manifest:
    """Return whom the API server asks: for all pods of a labelled namespace, and for labelled pods of others.

    The controller fills in whom to trust; until then, and while it is away, no such pod is made.
    """
    label, enabled = naming.INJECT_LABEL, naming.INJECT_ENABLED
    chosen = {"matchLabels": {label: enabled}}
    not_ours = {
        "key": "kubernetes.io/metadata.name",
        "operator": "NotIn",
        "values": [naming.SYSTEM_NAMESPACE],
    }
    others = {"key": label, "operator": "NotIn", "values": [enabled]}
    rule = {
        "operations": ["CREATE"],
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "resources": ["pods"],
        "scope": "Namespaced",
    }
    service = {
        "name": naming.XDS_SERVICE,
        "namespace": naming.SYSTEM_NAMESPACE,
        "path": "/inject",
        "port": 443,
    }
    common = {
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "reinvocationPolicy": "IfNeeded",
        "timeoutSeconds": 10,
        "rules": [rule],
        "clientConfig": {"service": service},
    }
    webhooks = [
        {
            "name": "namespace.outgate.dev",
            **common,
            "namespaceSelector": {**chosen, "matchExpressions": [not_ours]},
        },
        {
            "name": "pod.outgate.dev",
            **common,
            "namespaceSelector": {"matchExpressions": [not_ours, others]},
            "objectSelector": chosen,
        },
    ]
    return _object(
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        naming.WEBHOOK,
        webhooks=webhooks,
    )


def _budget(name: str) -> Manifest:
    spec = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
    }
    return _object("policy/v1", "PodDisruptionBudget", name, spec=spec)
