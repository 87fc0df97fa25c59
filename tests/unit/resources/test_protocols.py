import pytest

from outgate.resources.ports import ServicePort
from outgate.resources.protocols import protocol_of
from outgate.traffic.references import Protocol


@pytest.mark.parametrize(
    ("name", "app_protocol", "protocol"),
    [
        ("http", "", Protocol.HTTP),
        ("http-web", "", Protocol.HTTP),
        ("http2", "", Protocol.HTTP2),
        ("https-api-v1", "", Protocol.HTTPS),
        ("grpc-", "", Protocol.GRPC),
        # Only the exact text before the first "-" counts.
        ("httpx", "", Protocol.TCP),
        ("web-http", "", Protocol.TCP),
        ("HTTP", "", Protocol.TCP),
        ("tcp", "", Protocol.TCP),
        ("tcp-db", "", Protocol.TCP),
        ("mongo", "", Protocol.TCP),
        ("", "", Protocol.TCP),
        # The name goes before appProtocol.
        ("http", "https", Protocol.HTTP),
        ("web", "https", Protocol.HTTPS),
        ("", "http", Protocol.HTTP),
        ("", "HTTP2", Protocol.HTTP2),
        ("", "grpc", Protocol.GRPC),
        ("", "kubernetes.io/h2c", Protocol.HTTP2),
        ("", "kubernetes.io/ws", Protocol.HTTP),
        ("", "kubernetes.io/wss", Protocol.HTTPS),
        ("", "tcp", Protocol.TCP),
        ("", "tls", Protocol.TCP),
        ("", "redis", Protocol.TCP),
    ],
)
def test_protocol_of_a_port(name: str, app_protocol: str, protocol: Protocol) -> None:
    assert protocol_of(ServicePort(name, 80, "TCP", app_protocol, 80, 0)) is protocol
