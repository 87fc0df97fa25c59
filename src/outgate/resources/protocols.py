"""Which protocol a port of a Service speaks, as Istio 0.1 reads it from the port's name."""

from outgate.resources.ports import ServicePort
from outgate.traffic.references import Protocol

_BY_NAME = {p.value: p for p in (Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC, Protocol.HTTPS)}
# The prefixed ones are Kubernetes' own (KEP-3726).
_BY_APP_PROTOCOL = _BY_NAME | {
    "kubernetes.io/h2c": Protocol.HTTP2,
    "kubernetes.io/ws": Protocol.HTTP,
    "kubernetes.io/wss": Protocol.HTTPS,
}


def protocol_of(port: ServicePort) -> Protocol:
    """Protocol of a TCP port.

    The text of its name up to the first "-", if that is exactly http, http2, https or grpc; else
    its `appProtocol`, in any case; else TCP.
    """
    if named := _BY_NAME.get(port.name.partition("-")[0]):
        return named
    return _BY_APP_PROTOCOL.get(port.app_protocol.lower(), Protocol.TCP)
