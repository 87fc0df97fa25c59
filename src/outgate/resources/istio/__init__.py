"""Istio's `ServiceEntry`, `DestinationRule`, `VirtualService` and `Sidecar`, so that its users can move over.

Their meaning for calls to the outside is Istio's own. What Outgate does not do is said field by field, from the
tables in `tables`: as a warning where the rest keeps its meaning without it, else as an error.
"""
