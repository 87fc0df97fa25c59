"""A gRPC server without generated code: messages are bytes, the service is `test.Echo`.

`Unary` sends back what comes, `Download` each byte of it, `Upload` all that came in one, `Chat` each as it comes.
What a call asks for in its metadata: `x-status` and `x-details`, the status that it ends with; `x-delay`, in seconds;
all that it brings comes back in `x-seen`, a trailer, as JSON. With `x-bare` a failure has no headers, but a status
alone: only such a one can be tried again.
"""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from tests.outside.loop import Running

from outgate.internet.certificates import Pair
from outgate.internet.services import Closable, Context

SERVICE = "test.Echo"
_WORKERS = 16
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def open_rpc(
    context: Context, name: str, plain: list[str], secure: list[str], pair: Pair
) -> Closable:
    """Serve on addresses (HOST:PORT) without TLS and with."""
    echo = _Echo(context, name)
    server = grpc.server(
        ThreadPoolExecutor(_WORKERS), options=[("grpc.so_reuseport", 0)], handlers=[echo.handlers()]
    )
    credentials = grpc.ssl_server_credentials(
        [(pair.key.read_bytes(), pair.certificate.read_bytes())]
    )
    for each in plain:
        server.add_insecure_port(each)
    for each in secure:
        server.add_secure_port(each, credentials)
    server.start()

    def close() -> None:
        server.stop(0).wait(5)

    return Running(close)


class _Echo:
    def __init__(self, context: Context, name: str) -> None:
        self._context, self._name = context, name

    def handlers(self) -> grpc.GenericRpcHandler:
        methods = {
            "Unary": grpc.unary_unary_rpc_method_handler(self._unary),
            "Download": grpc.unary_stream_rpc_method_handler(self._download),
            "Upload": grpc.stream_unary_rpc_method_handler(self._upload),
            "Chat": grpc.stream_stream_rpc_method_handler(self._chat),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    def _unary(self, request: bytes, call: grpc.ServicerContext) -> bytes:
        self._begin("Unary", call)
        return request

    def _download(self, request: bytes, call: grpc.ServicerContext) -> Iterator[bytes]:
        self._begin("Download", call)
        for each in request:
            yield bytes([each])

    def _upload(self, requests: Iterator[bytes], call: grpc.ServicerContext) -> bytes:
        self._begin("Upload", call)
        return b"".join(requests)

    def _chat(self, requests: Iterator[bytes], call: grpc.ServicerContext) -> Iterator[bytes]:
        self._begin("Chat", call)
        yield from requests

    def _begin(self, method: str, call: grpc.ServicerContext) -> None:
        seen: dict[str, Any] = {
            key: value for key, value in call.invocation_metadata() if isinstance(value, str)
        }
        self._context.recorder.add(
            "request",
            server=self._name,
            method="POST",
            path=f"/{SERVICE}/{method}",
            source=call.peer(),
            headers=seen,
        )
        if "x-bare" not in seen:
            call.send_initial_metadata((("x-server", self._name),))
        call.set_trailing_metadata((("x-seen", json.dumps(seen)),))
        time.sleep(float(seen.get("x-delay", 0)))
        if code := int(seen.get("x-status", 0)):
            call.abort(_CODES[code], seen.get("x-details", ""))
