"""What users write: manifests, read and checked, as typed frozen values and located problems.

Nothing here does I/O, knows Envoy, or raises because of what a user wrote: bad input becomes a
`Problem`, and one bad document or field never hides another.
"""
