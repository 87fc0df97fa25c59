"""Calls to the servers outside, and what came back; from wherever a client can be run."""

import base64
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.outside import clients

from outgate.internet.certificates import Pair

MARK = "--outgate-test--"


@dataclass(frozen=True)
class Answer:
    """What curl got: `status` is 0 if no answer came, and `error` then says why. Header names are in small letters."""

    status: int
    body: str
    headers: dict[str, list[str]]
    error: str
    http: str
    seconds: float

    def json(self) -> Any:
        assert self.status, self.error
        return json.loads(self.body)

    def header(self, name: str) -> str:
        return ", ".join(self.headers.get(name, ()))

    @property
    def seen(self) -> dict[str, list[str]]:
        """The request's headers as a server of tests.outside says them."""
        found: dict[str, list[str]] = {}
        for key, value in self.json()["headers"]:
            found.setdefault(key, []).append(value)
        return found


def curl_command(url: str, *flags: str) -> tuple[str, ...]:
    written = f"\n{MARK}%{{json}}{MARK}%{{header_json}}"
    return ("curl", "-sS", "-m", str(clients.SECONDS), "-w", written, *flags, url)


def answer(output: str, error: str) -> Answer:
    """Read what `curl_command` printed."""
    body, _, rest = output.partition(f"\n{MARK}")
    facts, _, headers = rest.partition(MARK)
    assert facts, error or output
    said = json.loads(facts)
    return Answer(
        status=int(said["response_code"]),
        body=body,
        headers=json.loads(headers or "{}"),
        error=error.strip(),
        http=said["http_version"],
        seconds=float(said["time_total"]),
    )


class Clients:
    """Clients of each protocol; `_run` runs a Python program where the calls are to come from."""

    def _run(self, code: str, asked: str) -> str:
        raise NotImplementedError

    def tcp(
        self,
        host: str,
        port: int,
        *messages: str,
        greeting: int = 0,
        ca: str = "",
        sni: str = "",
        certificate: Sequence[str] = (),
    ) -> Any:
        """Send each message and get as much back; see `clients.TCP`."""
        return self._client(
            clients.TCP, host=host, port=port, messages=messages, greeting=greeting, ca=ca, sni=sni,
            certificate=certificate,
        )  # fmt: skip

    def grpc(
        self,
        target: str,
        method: str,
        *messages: str,
        ca: str = "",
        seconds: float = clients.SECONDS,
        **metadata: str,
    ) -> Any:
        """Call a method of `tests.outside.rpc`; `x_status="7"` is the metadata `x-status`. See `clients.GRPC`."""
        return self._client(
            clients.GRPC, target=target, method=f"test.Echo/{method}", messages=messages, ca=ca, seconds=seconds,
            metadata=[(key.replace("_", "-"), value) for key, value in metadata.items()],
        )  # fmt: skip

    def websocket(
        self, url: str, *messages: str, ca: str = "", protocols: Sequence[str] = ()
    ) -> Any:
        """Talk to a WebSocket; see `clients.WEBSOCKET`."""
        return self._client(
            clients.WEBSOCKET, url=url, messages=messages, ca=ca, protocols=protocols
        )

    def _client(self, code: str, **asked: Any) -> Any:
        return json.loads(self._run(code, json.dumps(asked)))


def tls_secret(name: str, pair: Pair) -> str:
    """Return the manifest of a Secret with a certificate and its key."""
    data = {
        key: base64.b64encode(path.read_bytes()).decode()
        for key, path in (("tls.crt", pair.certificate), ("tls.key", pair.key))
    }
    head = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls"}
    return json.dumps({**head, "metadata": {"name": name}, "data": data})


def until(found: Callable[[], bool], seconds: float = 10) -> bool:
    """Return whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while not found():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
