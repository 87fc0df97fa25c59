"""What policies know a destination by: what its own routes say of it, so that no client can say otherwise."""

from outgate.model.destinations import Destination, External

CALLEE, HOST, ELSEWHERE = "callee", "host", "elsewhere"
"""Keys of a route's metadata: the resource that declares what is called, and the name outside. The third is there where
a request, or a copy, may go to another destination; no credential is put into such a one."""


def source(destination: Destination) -> str:
    """Return the resource that declares a destination: `kind/name` in lower case."""
    said = destination.source if isinstance(destination, External) else ""
    return (said or f"service/{destination.name.name}").lower()


def host(destination: Destination) -> str:
    """Return the name outside, in lower case; empty for a service inside."""
    return destination.host.lower() if isinstance(destination, External) else ""


def callee(destination: Destination) -> str:
    """Return what `calls.resource` returns for a callee that names the destination's resource."""
    return f"{destination.name.namespace}/{source(destination)}"


def facts(destination: Destination) -> dict[str, str]:
    """Return what goes into the metadata of a destination's routes; what a wildcard stands for is in each Host."""
    name = host(destination)
    known = {CALLEE: callee(destination)}
    return known | ({HOST: name} if name and not name.startswith("*.") else {})
