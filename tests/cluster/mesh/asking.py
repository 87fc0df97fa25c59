"""Asks DNS servers from within a captured pod: any name, type and server, as any process of it could."""

import ipaddress
import json
import sys
from typing import Any

from tests.cluster.mesh.calling import APP, Caller
from tests.cluster.mesh.conftest import Mesh

ASK = """
import json, socket, struct, sys
from dnslib import DNSRecord, RCODE
said = []
for name, kind, server, port, tcp in json.loads(sys.argv[1]):
    data = DNSRecord.question(name, kind).pack()
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as s:
        s.settimeout(3)
        try:
            s.connect((server, port))
            s.sendall(struct.pack(">H", len(data)) + data if tcp else data)
            answer = DNSRecord.parse(s.recv(4096)[2 if tcp else 0:])
        except OSError as error:
            said.append([type(error).__name__, []])
            continue
    said.append([RCODE[answer.header.rcode], sorted(f"{r.rtype} {r.rdata}" for r in answer.rr)])
print(json.dumps(said))
"""
Question = tuple[str, str]
Answer = list[Any]


class Pod(Caller):
    """A captured pod, and a way to ask any server anything from within its network namespace."""

    def __init__(self, mesh: Mesh, namespace: str, pod: str = "app") -> None:
        super().__init__(mesh, namespace)
        self.pod = pod
        self.dns = mesh.cluster.node.place.dns_address
        path = ("get", "pod", pod, "-n", namespace, "-o=jsonpath={.status.podIP}")
        self.address = mesh.cluster.kubectl(*path)
        has = f"nsenter --net=$n ip -o addr | grep -q '{self.address}/'"
        script = f"for n in /run/netns/*; do {has} && echo $n; done; true"
        self.netns = mesh.cluster.node.run("sh", "-c", script).strip()

    def run(self, script: str) -> str:
        words = ("sh", "-c", f"{{ {script}; }} 2>&1 || true")
        return self.mesh.cluster.exec(self.pod, *words, namespace=self.namespace, container="app")

    def ask(
        self, *questions: Question, server: str = "", port: int = 53, tcp: bool = False
    ) -> list[Answer]:
        """Return the response code and the records for each question."""
        asked = json.dumps([(*each, server or self.dns, port, tcp) for each in questions])
        command = ("nsenter", f"--net={self.netns}", sys.executable, "-c", ASK, asked)
        return list(json.loads(self.mesh.cluster.node.run(*command)))

    def full(self, name: str) -> str:
        return f"{name}.{self.namespace}.svc.cluster.local"


def start(mesh: Mesh, namespace: str, name: str, *flags: str, annotations: str = "") -> Pod:
    pod = APP.replace("name: app, labels", f"name: {name}, annotations: {{{annotations}}}, labels")
    mesh.cluster.apply(mesh.inject(pod, *flags), namespace=namespace)
    mesh.cluster.wait("Ready", f"pod/{name}", namespace=namespace)
    return Pod(mesh, namespace, name)


def asked_of_the_cluster(mesh: Mesh) -> str:
    """Return what the cluster's own DNS was asked: a line for each query."""
    return (mesh.cluster.node.place.folder / "coredns.log").read_text(errors="replace").lower()


def addresses(answer: Answer) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    return [ipaddress.ip_address(each.partition(" ")[2]) for each in answer[1]]
