"""Capture rules as data, rendered for nft and iptables, and applied in one step.

The one-machine provider and the init container in Kubernetes use the same rules. May not know Envoy nor resources.
"""
