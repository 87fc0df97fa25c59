"""Whom the API server asks before it makes a pod."""

from outgate.kube import naming, objects
from outgate.kube.objects import Manifest


def webhook() -> Manifest:
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
    return objects.make(
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        naming.WEBHOOK,
        webhooks=webhooks,
    )
