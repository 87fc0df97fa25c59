"""A namespace of a test's own in a mesh that a file of tests shares: resources, one captured pod, and calls from it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.e2e.mesh import clients

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


class Space:
    """`mesh` is that of conftest. The pod, `app`, is started when it is first needed."""

    def __init__(self, mesh: Any, namespace: str, *flags: str) -> None:
        self.mesh, self.namespace = mesh, namespace
        self._flags = flags

    @cached_property
    def pod(self) -> str:
        words = ("run", "-d", "--name", "app", "-l", "app=app", "-n", self.namespace, *self._flags)
        self.mesh.outgate(*words, "--", "sleep", "infinity")
        return "app"

    def end(self) -> None:
        if "pod" in self.__dict__:
            self.mesh.outgate("delete", "pod", self.pod, "-n", self.namespace, "--ignore-not-found")

    def apply(self, *manifests: str, status: int | None = 0) -> str:
        """Apply; what it says is returned. It takes effect before this returns."""
        text = "\n---\n".join(manifests)
        said = self.mesh.outgate("apply", "-n", self.namespace, "-f", "-", text=text, status=status)
        return str(said)

    def delete(self, *words: str) -> str:
        return str(self.mesh.outgate("delete", *words, "-n", self.namespace))

    def exec(self, *command: str, status: int | None = 0) -> str:
        """Run a command in the pod and return both of its outputs; `status` None: any."""
        return str(self.mesh.exec(self.pod, *command, namespace=self.namespace, status=status))

    def call(self, url: str, *flags: str) -> Answer:
        """Ask with curl."""
        words = ("outgate", "exec", "-n", self.namespace, self.pod, "--")
        done = self.mesh.start(*words, *curl_command(url, *flags))
        return answer(done.stdout, done.stderr)

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
        """Send each message and get as much back; see `clients.TCP`."""  # fmt: skip
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
        words = ("exec", "-n", self.namespace, self.pod, "--", self.mesh.python_program, "-I", "-c")
        return json.loads(self.mesh.outgate(*words, code, json.dumps(asked)))


Spaces = Callable[..., Space]
