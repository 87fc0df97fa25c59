"""How commands talk to the daemon; the standard library alone, so that a command starts fast."""

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outgate import errors
from outgate.errors import OutgateError, UnavailableError
from outgate.host.plan import Layout

SECONDS = 60.0


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self._path)


@dataclass(frozen=True, slots=True)
class Client:
    """The daemon of one local mesh."""

    layout: Layout

    def is_up(self) -> bool:
        """Whether the daemon answers."""
        try:
            self.call("GET", "/v1/status")
        except UnavailableError:
            return False
        return True

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the daemon's answer; its errors are raised here, UnavailableError if it does not run."""
        connection = _Connection(str(self.layout.api))
        data = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read() or b"{}")
        except PermissionError as error:
            raise UnavailableError("only root may ask the local mesh", hint="use sudo") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise UnavailableError("the local mesh is not up", hint="outgate up") from error
        finally:
            connection.close()
        if response.status >= 400:
            kind = getattr(errors, answer.get("kind", ""), OutgateError)
            raise kind(
                answer.get("message", f"status {response.status}"), hint=answer.get("hint", "")
            )
        return answer
