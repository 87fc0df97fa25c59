"""A captured pod as a process of its own machine, and manifests of what it calls."""

import json
import sys
from pathlib import Path

from tests.cluster.mesh.asking import Pod
from tests.outside.calling import Answer, Clients, answer, curl_command

# As a process of the pod: its network, its resolver, its user.
_INSIDE = """
mount --bind "$1" /etc/resolv.conf
netns=$2
shift 2
exec nsenter --net="$netns" setpriv --reuid=100 --regid=101 --clear-groups "$@"
"""


class App(Pod, Clients):
    """A captured pod, in which programs of this machine can be run that no image has."""

    def inside(self, *words: str) -> str:
        resolver = self.mesh.cluster.node.place.folder / f"resolv-{self.namespace}"
        if not resolver.exists():
            resolver.write_text(self.run("cat /etc/resolv.conf"))
        command = ("unshare", "--mount", "sh", "-ec", _INSIDE, "sh", str(resolver), self.netns)
        return self.mesh.cluster.node.run(*command, *words)

    def file(self, name: str, text: str) -> str:
        """Return where a file is that a process of the pod can read."""
        path = Path("/tmp", f"{self.namespace}-{name}")  # noqa: S108 - for any user
        path.write_text(text)
        return str(path)

    def call(self, url: str, *flags: str) -> Answer:
        # That no answer came is an answer too.
        words = ("sh", "-c", '"$@" 2>/dev/null || true', "sh", *curl_command(url, *flags))
        return answer(self.inside(*words), "no answer")

    def _run(self, code: str, asked: str) -> str:
        return self.inside(sys.executable, "-I", "-c", code, asked)


def service(name: str, host: str, **ports: int) -> str:
    listed = [{"name": key, "port": value} for key, value in ports.items()]
    spec = {"type": "ExternalName", "externalName": host, "ports": listed}
    return json.dumps(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
    )


def external(name: str, host: str, *ports: str) -> str:
    listed = "".join(f"\n  - {{{each}}}" for each in ports)
    return f"""
apiVersion: outgate.dev/v1alpha1
kind: ExternalService
metadata: {{name: {name}}}
spec:
  hosts: [{host}]
  ports:{listed}
"""
