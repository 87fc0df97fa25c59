"""A namespace of a test's own in a mesh that a file of tests shares: resources, one captured pod, and calls from it."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from tests.outside.calling import Answer, Clients, answer, curl_command


class Space(Clients):
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

    def line(self, **wanted: Any) -> dict[str, Any]:
        """Return the last line of the log for this namespace with some values."""
        wanted = {"namespace": self.namespace, **wanted}
        return dict(self.mesh.log(lambda each: wanted.items() <= each.items()))

    def authority(self) -> str:
        """Return the small internet's CA file where pods see it: they do not see /run."""
        shown = self.mesh.folder / "ca.pem"
        shown.write_bytes(self.mesh.internet.ca_file.read_bytes())
        self.mesh.folder.chmod(0o755)
        return str(shown)

    def _run(self, code: str, asked: str) -> str:
        words = ("exec", "-n", self.namespace, self.pod, "--", self.mesh.python_program, "-I", "-c")
        return str(self.mesh.outgate(*words, code, asked))


Spaces = Callable[..., Space]
