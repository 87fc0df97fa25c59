"""The project's own kinds, `ExternalService` and `EgressPolicy`: each declared once, as schema values.

What reads them, their CRDs and their reference pages are derived from that. Nothing here may know Envoy.
"""
