"""Who may write what decides about capture: the API server itself refuses all others, by a policy in CEL."""

from outgate.inject import bootstrap
from outgate.kube import naming, objects
from outgate.kube.objects import Manifest

_GROUP = "admissionregistration.k8s.io"
_ACCOUNT = f"system:serviceaccount:{naming.SYSTEM_NAMESPACE}:{naming.CONTROLLER}"


def config_maps() -> list[Manifest]:
    """Return the policy that only the controller writes the ConfigMap of a namespace.

    It says what is inside the cluster, so that who could change it could let later pods call what they like. Anybody
    may delete it: the controller makes it anew, and namespaces and installations can go.
    """
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["configmaps"],
        "resourceNames": [bootstrap.MESH_MAP],
        "scope": "Namespaced",
    }
    validation = {
        "expression": f"request.userInfo.username == '{_ACCOUNT}'",
        "message": (
            f"the ConfigMap {bootstrap.MESH_MAP} says whom captured pods trust and what they may call directly: "
            "only Outgate's controller writes it"
        ),
        "reason": "Forbidden",
    }
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [validation],
    }
    binding = {"policyName": naming.MAP_POLICY, "validationActions": ["Deny"]}
    return [
        objects.make(f"{_GROUP}/v1", kind, naming.MAP_POLICY, spec=each)
        for kind, each in (
            ("ValidatingAdmissionPolicy", spec),
            ("ValidatingAdmissionPolicyBinding", binding),
        )
    ]
