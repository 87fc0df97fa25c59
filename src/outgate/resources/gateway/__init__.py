"""The Gateway API's kinds, in the project's "mesh" style: attached to a Service, or to an XBackend.

Types and field lists are those of sigs.k8s.io/gateway-api, experimental channel, at the version that
`tests/cluster/go/gateway-api/go.mod` pins; a test compares each field list with the published CRD's.
"""
