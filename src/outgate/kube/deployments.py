"""The pods of our own: controller and egress Envoys, all of which satisfy the restricted Pod Security Standard."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from outgate.inject import bootstrap, options
from outgate.inject.options import PullPolicy
from outgate.kube import leaving, naming, objects, resolving
from outgate.kube.objects import PART, Manifest
from outgate.kube.policies import Held
from outgate.settings import PREFIX
from outgate.xds import http
from outgate.xds import naming as xds_naming

_USER, _ENVOY_USER = 65532, 101
_CA_FOLDER = "/etc/outgate/upstream"
UPSTREAM_CA = "outgate-upstream-ca"
_DRAIN_SECONDS, _GRACE_SECONDS = http.TUNNELLED_SECONDS + 5, 30
"""An egress Envoy that is to end serves for so long: until sidecars were told, and until each client's HTTP connection
was answered for the last time. What is longer under way is cut off, at the grace period's end at the latest."""
_EGRESS_MEBIBYTES = 1024
"""Memory limit of an egress Envoy, below which it keeps its heap itself."""


@dataclass(frozen=True, slots=True)
class Install:
    """What may be chosen; `ranges` is empty where the cluster names them itself, `ca_bundle` PEM for upstreams' TLS.

    `settings` are environment variables of the controller (docs/settings.md).
    """

    images: options.Options = field(default_factory=options.Options)
    replicas: int = 2
    egress_replicas: int = 2
    egress_max_connections: int = 20_000
    trust_domain: str = "cluster.local"
    ranges: str = ""
    ca_bundle: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    held: Held = Held.NONE

    @property
    def pull_policy(self) -> PullPolicy:
        """When images are pulled."""
        return self.images.pull_policy


def deployments(install: Install) -> list[Manifest]:
    """Return both Deployments."""
    return [
        _deployment(naming.CONTROLLER, install.replicas, _controller(install)),
        _deployment(
            naming.EGRESS,
            install.egress_replicas,
            _egress(install),
            resolving.annotations(install.trust_domain),
        ),
    ]


def _deployment(
    name: str, replicas: int, pod: Manifest, annotations: Mapping[str, str] | None = None
) -> Manifest:
    metadata = {"annotations": dict(annotations)} if annotations else {}
    labels = {"app.kubernetes.io/name": name}
    apart = {
        "weight": 100,
        "podAffinityTerm": {
            "labelSelector": {"matchLabels": labels},
            "topologyKey": "kubernetes.io/hostname",
        },
    }
    template = {
        "metadata": {"labels": {**PART, **labels}, **metadata},
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
    return objects.make("apps/v1", "Deployment", name, spec=spec)


def _controller(install: Install) -> Manifest:
    images = install.images
    arguments = ["controller", f"--hub={images.hub}", f"--tag={images.tag}"]
    arguments.append(f"--imagePullPolicy={images.pull_policy}")
    if not images.dns_capture:
        arguments.append("--dnsCapture=false")
    if install.ranges:
        arguments.append(f"--cluster-ranges={install.ranges}")
    if install.held is not Held.NONE:
        arguments.append(f"--network-policy={install.held}")
    if install.ca_bundle:
        arguments.append(f"--ca-file={_CA_FOLDER}/ca.pem")
    container: Manifest = {
        "name": "controller",
        "image": install.images.image,
        "imagePullPolicy": install.pull_policy.value,
        "args": arguments,
        "env": [
            {"name": f"{PREFIX}TRUST_DOMAIN", "value": install.trust_domain},
            *({"name": name, "value": value} for name, value in install.settings),
            *(
                {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
                for name, path in (("POD_NAME", "metadata.name"), ("POD_UID", "metadata.uid"))
            ),
        ],
        # Where `outgate status` and others ask it, by `kubectl exec`'s right: no other pod gets there.
        "volumeMounts": [{"name": "run", "mountPath": naming.RUN}],
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
    run = {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    return {
        "automountServiceAccountToken": True,
        "terminationGracePeriodSeconds": leaving.GRACE_SECONDS,
        "containers": [container],
        "volumes": [run],
    }


def _egress(install: Install) -> Manifest:
    connections, memory = install.egress_max_connections, _EGRESS_MEBIBYTES
    form = bootstrap.render(options.XDS_ADDRESS, connections, memory, egress=True)
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
        "lifecycle": {"preStop": {"sleep": {"seconds": _DRAIN_SECONDS}}},
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"memory": f"{_EGRESS_MEBIBYTES}Mi"},
        },
        "securityContext": bootstrap.security(_ENVOY_USER),
        "volumeMounts": mounts,
    }
    return {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "containers": [container, resolving.container(install.images, _DRAIN_SECONDS)],
        "volumes": [*volumes, *resolving.volumes()],
    }


def _probe(path: str, port: int, *, period: int, failures: int) -> Manifest:
    request = {"path": path, "port": port}
    return {"httpGet": request, "periodSeconds": period, "failureThreshold": failures}
