"""XBackends to destinations, and how certificates are verified to TLS that the egress opens."""

from outgate.model.destinations import External, Port
from outgate.model.names import Name
from outgate.resources.gateway.references import Object
from outgate.resources.gateway.validations import CA_KEY, Validation
from outgate.resources.gateway.xbackends import XBackend
from outgate.traffic.references import ConfigMapKey, Material, Protocol, SecretKey
from outgate.traffic.upstream import Tls, Upstream

ROUTE_PROTOCOLS = {
    "GRPCRoute": Protocol.GRPC,
    "HTTPRoute": Protocol.HTTP,
    "TLSRoute": Protocol.TLS,
    "TCPRoute": Protocol.TCP,
}
"""What each kind of routes has a backend speak, the most specific kind first (GEP-1294)."""

_SAID = {
    "HTTP": Protocol.HTTP,
    "HTTP11": Protocol.HTTP,
    "MCP": Protocol.HTTP,
    "HTTP2": Protocol.HTTP2,
    "H2C": Protocol.HTTP2,
    "GRPC": Protocol.GRPC,
    "TCP": Protocol.TCP,
}
_HTTP, _HTTPS = 80, 443


def external(backend: XBackend, routed: Protocol | None) -> External:
    """Return what an XBackend declares: its host name, for callers of its own namespace.

    `routed` is what its routes speak, for one that does not say. Without either, port 443 without TLS of the egress is
    the application's own TLS. Where the egress opens TLS to port 443, port 80 leads there too: applications call
    `http://HOST/`.
    """
    metadata = backend.metadata
    unsaid = Protocol.TLS if backend.port == _HTTPS and not backend.opens_tls else Protocol.HTTP
    protocol = _SAID.get(backend.protocol) or routed or unsaid
    upstream = Upstream(tls=_tls(backend))
    ports = [Port(backend.port, protocol, backend.port_name, upstream=upstream)]
    if protocol.is_http and backend.opens_tls and backend.port == _HTTPS:
        ports.insert(0, Port(_HTTP, protocol, target=_HTTPS, upstream=upstream))
    return External(
        name=Name(metadata.namespace, backend.host),
        host=backend.host,
        ports=tuple(ports),
        created=metadata.creation_timestamp,
        visible=frozenset((metadata.namespace,)),
        source=f"xbackend/{metadata.name}",
    )


def _tls(backend: XBackend) -> Tls | None:
    if not backend.opens_tls or backend.tls is None:
        return None
    client = backend.tls.client
    made = verified(backend.tls.validation or Validation())
    return Tls(
        sni=made.sni,
        names=made.names,
        ca=made.ca,
        certificate=_secret(client, "tls.crt"),
        key=_secret(client, "tls.key"),
    )


def verified(validation: Validation) -> Tls:
    """Return TLS that is verified so; without a name, it is the host's own."""
    names = validation.names or ((validation.host,) if validation.host else ())
    return Tls(sni=validation.host, names=names, ca=_authority(validation))


def _authority(validation: Validation) -> Material | None:
    if not validation.authorities:
        return None
    first = validation.authorities[0]
    if not first.is_usable:
        # There is no object without a name: so nothing is trusted.
        return ConfigMapKey(first.object.namespace, "", CA_KEY)
    made = SecretKey if first.object.kind == "Secret" else ConfigMapKey
    return made(first.object.namespace, first.object.name, CA_KEY)


def _secret(client: Object | None, key: str) -> SecretKey | None:
    return SecretKey(client.namespace, client.name, key) if client else None
