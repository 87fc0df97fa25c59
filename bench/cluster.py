"""A Kubernetes of one node with Outgate, installed as a user installs it, and an origin outside of it."""

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.cluster import builds, claims, images, life
from tests.cluster.archive import Image
from tests.cluster.cluster import Cluster
from tests.cluster.commands import ClusterError
from tests.cluster.internet import ClusterInternet
from tests.cluster.places import COUNT

from bench import mesh, places
from bench.commands import BenchError, run, started
from outgate.inject.options import Options

HUB = "docker.io/ogb"
LOAD = "localhost/ogb-load:1"
"""An image with wrk and curl."""
PORT = 7080
"""The origin's, at the address of HOST; the small internet's own server there has port 80."""
HOST = "httpbin.org"
SYSTEM = "outgate-system"
PATIENCE = "--timeout=120s"

_NGINX = """\
daemon off; worker_processes 1; pid {folder}/k8s.pid; error_log {folder}/k8s.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  sendfile on; tcp_nopush on; open_file_cache max=10;
  server {{ listen {address}:{port}; root {folder}/www; }}
}}
"""


@dataclass(frozen=True, slots=True)
class Own:
    """The cluster, and what is outside; `origin` is the origin's address."""

    cluster: Cluster
    origin: str

    def kubectl(self, *words: str, text: str = "", seconds: float = 130) -> str:
        """Run kubectl."""
        return self.cluster.kubectl(*words, text=text, seconds=seconds)

    def apply(self, *objects: dict[str, Any], namespace: str, inject: bool = False) -> None:
        """Apply objects, with capture by `outgate kube-inject` if wanted."""
        text = yaml.safe_dump_all(objects)
        if inject:
            text = run(mesh.OUTGATE, "kube-inject", "--hub", HUB, "-f", "-", stdin=text)
        self.cluster.apply(text, namespace=namespace)

    def exec(self, namespace: str, pod: str) -> tuple[str, ...]:
        """Return the words that start a command in a pod's container `load`."""
        return (*self.cluster.command, "exec", "-n", namespace, pod, "-c", "load", "--")


def pod(name: str, *others: dict[str, Any], **labels: str) -> dict[str, Any]:
    """Return a pod that waits for commands, with other containers beside."""
    container = {
        "name": "load",
        "image": LOAD,
        "imagePullPolicy": "Never",
        "command": ["sleep", "infinity"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container, *others]},
    }


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Own]:
    """Have all of it for the time of a `with` block; BenchError, with the reason, where there cannot be a cluster."""
    with contextlib.ExitStack() as stack:
        try:
            life.require()
            builds.program("kube-apiserver")
            life.sweep()
            node = life.start(*claims.first_free(range(1, COUNT)))
            stack.callback(life.stop, node.place, node)
            cluster = Cluster.own(node)
            internet = stack.enter_context(ClusterInternet(node))
        except ClusterError as error:
            raise BenchError(str(error)) from error
        own = folder / "kubernetes"
        (own / "www").mkdir(parents=True, exist_ok=True)
        address = internet.plan.records()[HOST, "A"][0]
        nginx = _nginx(own, address)
        inside = ("nsenter", f"--net={internet.namespace}")
        process = stack.enter_context(started((*inside, *nginx), own / "log"))
        (folder / "kubernetes.pid").write_text(str(process.pid))
        try:
            _images(cluster, own)
            _install(cluster, str(internet.ca_file))
        except ClusterError as error:
            raise BenchError(str(error)) from error
        yield Own(cluster, address)


def _nginx(own: Path, address: str) -> tuple[str, ...]:
    (own / "www" / "1k").write_bytes(b"x" * places.BODY_BYTES)
    # nginx's worker is another user.
    for path in (places.FOLDER, own, own / "www"):
        path.chmod(0o711)
    (own / "www" / "1k").chmod(0o644)
    (own / "nginx.conf").write_text(_NGINX.format(folder=own, address=address, port=PORT))
    return ("nginx", "-c", str(own / "nginx.conf"), "-p", str(own))


def _images(cluster: Cluster, own: Path) -> None:
    script = places.PROJECT / "scripts" / "images"
    run(str(script), "--output", str(own), "--hub", HUB, seconds=600)
    load = Image(LOAD, images.base() | images.programs("wrk", "curl"), command=("wrk",))
    for archive in (own / "outgate.tar", own / "envoy.tar", *images.archives([load])):
        cluster.import_image(archive)
    # The resolver, which every cluster of the tests has under its stock name.
    ctr = ("ctr", "--address", str(cluster.node.place.containerd), "--namespace", "k8s.io")
    names = (Options().coredns_image, Options(hub=HUB).coredns_image)
    cluster.node.run(*ctr, "images", "tag", "--force", *names)


def _install(cluster: Cluster, ca_file: str) -> None:
    flags = ("--replicas", "1", "--egress-replicas", "1", "--ca-file", ca_file, "--hub", HUB)
    cluster.kubectl("apply", "-f", "-", text=run(mesh.OUTGATE, "install", *flags))
    for name in ("outgate-controller", "outgate-egress"):
        status = ("rollout", "status", "-n", SYSTEM, f"deployment/{name}", PATIENCE)
        cluster.kubectl(*status, seconds=130)


def wait_for(name: str, seconds: float, is_so: Any) -> float:
    """Return how many seconds it took until something was so; BenchError if it never is."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > seconds:
            raise BenchError(f"{name}: not within {seconds:g} s")
        time.sleep(0.02)
    return time.monotonic() - began


def say(text: str) -> None:
    """Tell why something is left out."""
    sys.stderr.write(f"{text}\n")
