"""What `outgate install` prints: all that Outgate needs in a cluster, with no more rights than it uses."""

from collections.abc import Iterable

from outgate.kube import (
    admission,
    crds,
    deployments,
    guarding,
    naming,
    objects,
    policies,
    resolving,
    rights,
)
from outgate.kube.deployments import UPSTREAM_CA, Install
from outgate.kube.objects import PART, Manifest
from outgate.xds import naming as xds_naming

__all__ = ["Install", "Manifest", "manifests"]


def manifests(install: Install) -> list[Manifest]:
    """Return all objects, in an order in which they can be made."""
    bundle = [_config(UPSTREAM_CA, {"ca.pem": install.ca_bundle})] if install.ca_bundle else []
    return [
        _namespace(),
        *crds.crds(),
        *(
            objects.make("v1", "ServiceAccount", name, automountServiceAccountToken=False)
            for name in (naming.CONTROLLER, naming.EGRESS)
        ),
        *rights.rights(install.held),
        *bundle,
        _config(resolving.MAP, resolving.data(install.trust_domain)),
        _service(naming.XDS_SERVICE, naming.CONTROLLER, _CONTROLLER_PORTS),
        _service(naming.EGRESS, naming.EGRESS, _EGRESS_PORTS, headless=True),
        *deployments.deployments(install),
        *(_budget(name) for name in (naming.CONTROLLER, naming.EGRESS)),
        _policy(naming.CONTROLLER, policies.controller()),
        *guarding.config_maps(),
        admission.webhook(),
    ]


def _namespace() -> Manifest:
    labels = {**PART, "pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": naming.SYSTEM_NAMESPACE, "labels": labels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _config(name: str, data: dict[str, str]) -> Manifest:
    return objects.make("v1", "ConfigMap", name, data=data)


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
    return objects.make("v1", "Service", name, spec=spec)


def _policy(name: str, spec: policies.Spec) -> Manifest:
    return objects.make("networking.k8s.io/v1", "NetworkPolicy", name, spec=spec)


def _budget(name: str) -> Manifest:
    spec = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
    }
    return objects.make("policy/v1", "PodDisruptionBudget", name, spec=spec)
