"""What the controller may do in a cluster: no more than it uses."""

from outgate.inject import bootstrap
from outgate.kube import naming, objects
from outgate.kube.objects import Manifest
from outgate.kube.policies import Held
from outgate.model.gateway import statuses
from outgate.resources import kinds

_GROUP, _NETWORKING = "rbac.authorization.k8s.io", "networking.k8s.io"


def _rule(group: str, resources: str, verbs: str, *names: str) -> Manifest:
    rule = {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
    return rule | ({"resourceNames": list(names)} if names else {})


MATERIALS = "outgate-materials"
"""A ClusterRole that is bound to nobody: a RoleBinding in a namespace lets the controller read what resources name."""


def rights(held: Held = Held.NONE) -> list[Manifest]:
    """Return what the controller may do; the egress may do nothing, and has no token for the API server."""
    everywhere = [
        _rule("", "services namespaces nodes", "list watch"),
        # Of namespaces with policies, which tell pods apart by their labels.
        _rule("", "pods", "list watch"),
        _rule(_NETWORKING, "servicecidrs", "list watch"),
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
        *_for_declaring(),
    ]
    own = [
        _rule("", "secrets", "create"),
        _rule("", "secrets", "get", naming.CA_SECRET),
        _rule("discovery.k8s.io", "endpointslices", "list watch"),
        # One for the leader, and one for each replica, which has its pod's name.
        _rule("coordination.k8s.io", "leases", "get list watch create update patch delete"),
        _rule(_NETWORKING, "networkpolicies", "list watch create patch", naming.EGRESS),
    ]
    name = naming.CONTROLLER
    asked = [] if held is Held.NONE else _for_policies()
    materials = objects.make(
        f"{_GROUP}/v1",
        "ClusterRole",
        MATERIALS,
        rules=[_rule("", "secrets configmaps", "list watch")],
    )
    return [
        *_bound("ClusterRole", name, everywhere),
        *_bound("Role", name, own),
        materials,
        *asked,
    ]


def _for_declaring() -> list[Manifest]:
    """Return what reads the kinds that declare something; a rule may speak of kinds that a cluster does not have."""
    by_group: dict[str, list[str]] = {}
    for group, kind, _ in kinds.declaring():
        by_group.setdefault(group, []).append(kinds.plural(kind))
    rules = [_rule(group, " ".join(names), "list watch") for group, names in by_group.items()]
    for group, names in by_group.items():
        told = [f"{each}/status" for each in names if each in _with_status()]
        if told:
            rules.append(_rule(group, " ".join(told), "patch"))
    return rules


def _with_status() -> set[str]:
    """Return the kinds, by plural, that are told in their status what has become of them."""
    found = (kind for _, kind, _ in kinds.declaring() if statuses.shape(kind) is not None)
    return {kinds.plural(kind) for kind in found}


def _for_policies() -> list[Manifest]:
    """Return what the controller may do where it keeps the network policies of captured pods."""
    name = f"{naming.CONTROLLER}-policies"
    policies = _rule(_NETWORKING, "networkpolicies", "list watch create patch", naming.POLICY)
    api_server = _rule("discovery.k8s.io", "endpointslices", "list watch", naming.API_SERVER)
    beside = _bound("Role", name, [api_server])
    for each in beside:
        each["metadata"]["namespace"] = naming.API_SERVER_NAMESPACE
    return [*_bound("ClusterRole", name, [policies]), *beside]


def _bound(kind: str, name: str, rules: list[Manifest]) -> list[Manifest]:
    account = {
        "kind": "ServiceAccount",
        "name": naming.CONTROLLER,
        "namespace": naming.SYSTEM_NAMESPACE,
    }
    reference = {"apiGroup": _GROUP, "kind": kind, "name": name}
    subjects = {"roleRef": reference, "subjects": [account]}
    return [
        objects.make(f"{_GROUP}/v1", kind, name, rules=rules),
        objects.make(f"{_GROUP}/v1", f"{kind}Binding", name, **subjects),
    ]
