"""How commands talk to the daemon: a line of JSON each way on a Unix socket, so that a command starts fast."""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outgate import errors
from outgate.errors import OutgateError, UnavailableError
from outgate.host.plan import Layout

SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Client:
    """The daemon of one local mesh."""

    layout: Layout

    def is_up(self) -> bool:
        """Whether the daemon answers."""
        try:
            self.call("status")
        except UnavailableError:
            return False
        return True

    def call(self, method: str, **arguments: Any) -> Any:
        """Return the daemon's answer; its errors are raised here, UnavailableError if it does not run."""
        try:
            answer = json.loads(self._exchange({"method": method, "arguments": arguments}))
        except PermissionError as error:
            raise UnavailableError("only root may ask the local mesh", hint="use sudo") from error
        except (OSError, ValueError) as error:
            raise UnavailableError("the local mesh is not up", hint="outgate up") from error
        if "error" in answer:
            failure = answer["error"]
            kind = getattr(errors, failure["kind"], OutgateError)
            raise kind(failure["message"], hint=failure["hint"])
        return answer["result"]

    def _exchange(self, request: Mapping[str, Any]) -> bytes:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(SECONDS)
            connection.connect(str(self.layout.api))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answer:
                return answer.readline()
