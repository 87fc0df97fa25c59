"""The kinds that are read from the API server, as plain mappings: a field that is new to us is not lost."""

from typing import Any, Final

from lightkube.generic_resource import create_global_resource, create_namespaced_resource

Kind = Any
"""A class of lightkube's: it names the group, version and plural, and its instances are dictionaries."""
Item = dict[str, Any]

READ = ["get", "list", "watch", "global_list", "global_watch", "post", "put", "patch", "delete"]

SERVICE: Final[Kind] = create_namespaced_resource("", "v1", "Service", "services", verbs=READ)
CONFIG_MAP: Final[Kind] = create_namespaced_resource(
    "", "v1", "ConfigMap", "configmaps", verbs=READ
)
SECRET: Final[Kind] = create_namespaced_resource("", "v1", "Secret", "secrets", verbs=READ)
ENDPOINT_SLICE: Final[Kind] = create_namespaced_resource(
    "discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", verbs=READ
)
NETWORK_POLICY: Final[Kind] = create_namespaced_resource(
    "networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", verbs=READ
)
NAMESPACE: Final[Kind] = create_global_resource("", "v1", "Namespace", "namespaces", verbs=READ)
NODE: Final[Kind] = create_global_resource("", "v1", "Node", "nodes", verbs=READ)
SERVICE_CIDR: Final[Kind] = create_global_resource(
    "networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", verbs=READ
)
MUTATING_WEBHOOK: Final[Kind] = create_global_resource(
    "admissionregistration.k8s.io",
    "v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
    verbs=READ,
)
LEASE: Final[Kind] = create_namespaced_resource(
    "coordination.k8s.io", "v1", "Lease", "leases", verbs=READ
)
EVENT: Final[Kind] = create_namespaced_resource(
    "events.k8s.io", "v1", "Event", "events", verbs=READ
)
POD: Final[Kind] = create_namespaced_resource("", "v1", "Pod", "pods", verbs=READ)
