"""The narrow waist: what every front end is translated into, and all that `xds` and `firewall` know.

Workloads, destinations, their names and addresses. May not import Kubernetes types or protobufs, and may not do I/O.
"""
