"""The names of what Outgate has in a cluster, in one place because manifests, controller and injector must agree."""

SYSTEM_NAMESPACE = "outgate-system"
"""It stands in the egress's SPIFFE ID too, by which sidecars know it."""
CONTROLLER, EGRESS = "outgate-controller", "outgate-egress"
"""Deployments, and their service accounts."""
XDS_SERVICE = "outgate"
XDS_PORT, WEBHOOK_PORT, HEALTH_PORT = 15012, 15017, 15014
"""Istio's numbers for xDS over TLS, the webhook, and monitoring."""
CA_SECRET = "outgate-ca"  # noqa: S105 - a Secret's name
"""Has the certificate authority, key included; every replica uses it."""
WEBHOOK = "outgate"
"""The MutatingWebhookConfiguration."""
INJECT_LABEL, INJECT_ENABLED = "outgate.dev/inject", "enabled"
"""On a namespace, or a pod: it is to be captured."""
