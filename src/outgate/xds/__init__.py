"""Model to Envoy resources: pipeline, tunnels, routes, clusters, DNS, and the snapshot that holds them.

May not do I/O, nor know where the model came from.
"""
