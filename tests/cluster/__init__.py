"""A real Kubernetes of one node for tests, made on this machine without an image registry: see README.md.

It stands in for a user's cluster, and may not know how Outgate works: of Outgate it uses only the small internet.
"""
