"""Serves Envoy: delta ADS, the certificates that go with it, and the state of each subscription.

May not know what kinds of resources users write; it moves named, versioned bytes.
"""
