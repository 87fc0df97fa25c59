"""What the controller may do in a cluster: no more than it uses."""

from outgate.inject import bootstrap
from outgate.kube import naming, objects
from outgate.kube.objects import Manifest


def _rule(group: str, resources: str, verbs: str, *names: str) -> Manifest:
    rule = {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
    return rule | ({"resourceNames": list(names)} if names else {})


def rights() -> list[Manifest]:
    """Return what the controller may do; the egress may do nothing, and has no token for the API server."""
    everywhere = [
        _rule("", "services namespaces nodes", "list watch"),
        _rule("networking.k8s.io", "servicecidrs", "list watch"),
        _rule("", "configmaps", "list watch create patch", bootstrap.MESH_MAP),
        _rule("authentication.k8s.io", "tokenreviews", "create"),
        # Of Events, those are read that were written by an earlier leader.
        _rule("events.k8s.io", "events", "list create"),
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
        # One for the leader, and one for each replica, which has its pod's name.
        _rule("coordination.k8s.io", "leases", "get list watch create update patch delete"),
    ]
    group, name = "rbac.authorization.k8s.io", naming.CONTROLLER
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": naming.SYSTEM_NAMESPACE}]

    def bound(kind: str, rules: list[Manifest]) -> list[Manifest]:
        reference = {"apiGroup": group, "kind": kind, "name": name}
        return [
            objects.make(f"{group}/v1", kind, name, rules=rules),
            objects.make(
                f"{group}/v1", f"{kind}Binding", name, roleRef=reference, subjects=subjects
            ),
        ]

    return [*bound("ClusterRole", everywhere), *bound("Role", own)]
