"""Runs Envoy: finds the binary, writes its bootstrap, supervises the process, asks its admin.

Nothing here knows services, routes or policy: those reach Envoy over xDS. A process is signalled
only through a pidfd whose identity was verified, never by a bare pid or a name.
"""
