"""A cluster's beginning and end, and that nothing is left of it."""

import os
import shutil
import socket
import time
from pathlib import Path

from tests.cluster import builds, cgroups, claims, configs, images, links, node, pki
from tests.cluster.commands import ENVIRONMENT, ClusterError, run
from tests.cluster.node import Node
from tests.cluster.parts import parts
from tests.cluster.places import NODE, Place

_PROGRAMS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "findmnt": "util-linux",
    "ip": "iproute2",
    "ss": "iproute2",
    "nft": "nftables",
    "curl": "curl",
    "etcd": "etcd-server",
    "containerd": "containerd",
    "runc": "runc",
    "conntrack": "conntrack",
    "iptables": "iptables",
    "ipset": "ipset",
    "busybox": "busybox-static",
}
_PATIENCE = 120.0
# The API server waits for etcd by itself.
_FIRST = ("etcd", "kube-apiserver", "containerd")


def require() -> None:
    """Raise ClusterError, with the one reason, where a cluster cannot run."""
    if os.geteuid() != 0:
        raise ClusterError(
            "needs root, as it makes namespaces; or a cluster in OUTGATE_TEST_KUBECONFIG"
        )
    found = {name: shutil.which(name, path=ENVIRONMENT["PATH"]) for name in _PROGRAMS}
    if missing := {_PROGRAMS[name] for name, path in found.items() if path is None}:
        raise ClusterError(f"install {', '.join(sorted(missing))}: `make cluster-debian` does")
    try:
        run("unshare", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "true")
    except ClusterError as error:
        raise ClusterError(f"no namespaces can be made here: {error}") from error


def start(place: Place, lock: int) -> Node:
    """Start a cluster in a place that was taken; whatever goes wrong, nothing of it is left.

    It ends with this process, until the node is asked to `keep`. The lock is the node's from now on.
    """
    running = None
    try:
        _clean(place)
        place.folder.mkdir(mode=0o700)
        cgroups.make(place.name)
        pki.write(place)
        configs.write(place)
        archives = images.archives([images.sandbox(), *images.images()])
        running = Node.launch(place, lock)
        links.to_host(place, running.network)
        _start_parts(running, archives)
    except BaseException:
        node.end(place)
        if running is not None:
            running.wait()
        _clean(place)
        claims.leave(place, lock)
        raise
    os.close(lock)
    return running


def stop(place: Place, running: Node | None = None) -> None:
    """End a cluster, if there is one, and remove all of it; ClusterError if something stays."""
    members = node.processes(node.namespaces(place))
    node.end(place)
    if running is not None:
        running.wait()
    deadline = time.monotonic() + _PATIENCE
    # The last process first lets go of the lock, and then ends.
    while (lock := claims.take(place)) is None or node.running(members):
        if lock is not None:
            os.close(lock)
        if time.monotonic() > deadline:
            raise ClusterError(f"the cluster in {place.folder} does not end")
        time.sleep(0.01)
    _clean(place)
    claims.leave(place, lock)
    if left := remains(place):
        raise ClusterError(f"left behind: {', '.join(left)}")


def sweep() -> None:
    """Remove what was left of clusters that were killed."""
    for place, lock in claims.abandoned():
        _clean(place)
        claims.leave(place, lock)


def remains(place: Place) -> list[str]:
    """Return what there still is of a cluster that has ended, but for processes (`node.running`)."""
    nets = (*place.link_nets, *place.internet_nets, *place.pod_nets, *place.service_nets)
    routes = (run("ip", f"-{net.version}", "route", "show", "root", str(net)) for net in nets)
    interfaces = [name for _, name in socket.if_nameindex()]
    return [
        *(f"mount {each}" for each in _mounts(place)),
        *(f"interface {each}" for each in interfaces if each == place.name),
        *(f"route {each}" for text in routes for each in text.splitlines()),
        *(f"cgroup {each}" for each in cgroups.found(place.name)),
        *(f"folder {each}" for each in (place.folder,) if each.exists()),
    ]


def import_image(place: Place, archive: Path) -> None:
    """Give the kubelet's containerd the images of an archive."""
    containerd = ("ctr", "--address", str(place.containerd), "--namespace", "k8s.io")
    run(*containerd, "images", "import", str(archive))


def kubectl(place: Place) -> tuple[str, ...]:
    """Return how kubectl is called: what it remembers, it has below the cluster's folder."""
    cached = f"--cache-dir={place.folder}/kubectl"
    return (str(builds.program("kubectl")), f"--kubeconfig={place.kubeconfig}", cached)


def _clean(place: Place) -> None:
    """Remove all that may be in a place without a cluster."""
    links.remove(place)
    cgroups.remove(place.name)
    if mounts := _mounts(place):
        raise ClusterError(f"mounts stay: {', '.join(mounts)}")
    # Last, as it shows that there may be something else.
    try:
        shutil.rmtree(place.folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ClusterError(f"{error.filename} stays: {error.strerror}") from error


def _start_parts(running: Node, archives: list[Path]) -> None:
    every = parts(running.place)
    for name in _FIRST:
        running.begin(every[name])
    running.wait_for(every["containerd"])
    for archive in archives:
        import_image(running.place, archive)
    running.wait_for(every["kube-apiserver"])
    rest = [part for name, part in every.items() if name not in _FIRST]
    for part in rest:
        running.begin(part)
    ask = kubectl(running.place)
    run(*ask, "create", "-f", "-", text=configs.dns_service(running.place))
    for part in rest:
        running.wait_for(part)
    _wait_for(*ask, "wait", "--for=create", f"node/{NODE}", "serviceaccount/default")
    _wait_for(*ask, "wait", "--for=condition=Ready", f"node/{NODE}")


def _wait_for(*command: str) -> None:
    run(*command, f"--timeout={_PATIENCE:.0f}s", seconds=_PATIENCE + 10)


def _mounts(place: Place) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = (line.split()[4] for line in lines)
    return [each for each in points if place.folder in (Path(each), *Path(each).parents)]
