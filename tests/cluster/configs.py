"""The files that the cluster's parts read."""

import json
import shutil
from pathlib import Path
from typing import Any

import yaml
from tests.cluster.commands import ENVIRONMENT, ClusterError, run
from tests.cluster.images import PAUSE
from tests.cluster.places import NODE, Place, comma

_PLUGINS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))

# No masquerading: who asks, the small internet sees by its own address, and so does a test on the host.
_POD_NETWORK = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True}

_CONTAINERD = """\
version = 2
root = "{folder}/containerd"
state = "/run/containerd"
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  # It would need CAP_SYS_RESOURCE, which root does not have everywhere.
  restrict_oom_score_adj = true
  # The node's /sys shows none of the host's security modules.
  disable_apparmor = true
  sandbox_image = "{pause}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
"""

_COREFILE = """\
cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {{
  bind {address}
  errors
  log
  ready {address}:8181
  kubernetes {{
    kubeconfig {kubeconfig} outgate
    pods insecure
  }}
}}
.:53 {{
  bind {address}
  errors
  log
  {outside}
}}
"""
# Nothing is remembered (there is no cache), so that a record that a test changes has changed.
_FORWARD = "forward . {resolver} {{\n    max_fails 0\n  }}"
_NOTHING = "template ANY ANY . {\n    rcode NXDOMAIN\n  }"


def write(place: Place) -> None:
    """Write them all into the cluster's folder."""
    folder = place.folder
    (folder / "cni").mkdir()
    (folder / "cni" / "10-pods.conflist").write_text(json.dumps(_pod_network(place)))
    (folder / "containerd.toml").write_text(
        _CONTAINERD.format(
            folder=folder,
            socket=place.containerd,
            pause=PAUSE,
            plugins=_plugins(),
            snapshotter=_snapshotter(folder),
        )
    )
    (folder / "kubelet.yaml").write_text(yaml.safe_dump(_kubelet(place)))
    (folder / "kube-proxy.yaml").write_text(yaml.safe_dump(_proxy(place)))
    _write_ip6tables(folder / "kube-router")
    # Pods get no search domains and servers but the cluster's.
    (folder / "resolv.conf").touch()
    write_corefile(place, None)


def _write_ip6tables(folder: Path) -> None:
    """Mend what kube-router 2.1.0 tells ip6tables: it calls sets by names without the prefix that it made them with."""
    folder.mkdir()
    program = folder / "ip6tables-restore"
    real = shutil.which(program.name, path=ENVIRONMENT["PATH"])
    mend = "sed 's/--match-set KUBE-/--match-set inet6:KUBE-/g'"
    program.write_text(f'#!/bin/sh\n{mend} | exec {real} "$@"\n')
    program.chmod(0o755)


def write_corefile(place: Place, resolver: str | None) -> None:
    """Have names outside the cluster resolved by a DNS server; without one there are none."""
    outside = _FORWARD.format(resolver=resolver) if resolver else _NOTHING
    text = _COREFILE.format(
        address=place.node_address, kubeconfig=place.kubeconfig, outside=outside
    )
    (place.folder / "Corefile").write_text(text)


def dns_service(place: Place) -> str:
    """Return the manifest of kube-dns, which CoreDNS serves from outside any pod."""
    ports = [
        {"name": f"dns-{each.lower()}", "port": 53, "protocol": each} for each in ("UDP", "TCP")
    ]
    name = {"name": "kube-dns", "namespace": "kube-system"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": name | {"labels": {"k8s-app": "kube-dns"}},
        "spec": {"clusterIP": place.dns_address, "ports": ports},
    }
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": name | {"labels": {"kubernetes.io/service-name": "kube-dns"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [place.node_address], "conditions": {"ready": True}}],
        "ports": ports,
    }
    return yaml.safe_dump_all([service, endpoints])


def _pod_network(place: Place) -> dict[str, Any]:
    ranges = [[{"subnet": str(each)}] for each in place.pod_nets]
    defaults = {4: "0.0.0.0/0", 6: "::/0"}
    routes = [{"dst": defaults[each.version]} for each in place.pod_nets]
    bridge = _POD_NETWORK | {"ipam": {"type": "host-local", "ranges": ranges, "routes": routes}}
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, portmap]}


def _kubelet(place: Place) -> dict[str, Any]:
    pki = place.folder / "pki"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{pki}/node.crt",
        "tlsPrivateKeyFile": f"{pki}/node.key",
        "containerRuntimeEndpoint": f"unix://{place.containerd}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{place.name}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "clusterDNS": [place.dns_address],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{place.folder}/resolv.conf",
        "healthzBindAddress": place.node_address,
        "evictionHard": {"memory.available": "100Mi"},
        # An image that was removed could not be pulled again.
        "imageGCHighThresholdPercent": 100,
        # By default a folder in /usr, which it would make.
        "volumePluginDir": f"{place.folder}/volume-plugins",
    }


def _proxy(place: Place) -> dict[str, Any]:
    node = [each[2] for each in place.link_nets]
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(place.kubeconfig)},
        "hostnameOverride": NODE,
        "clusterCIDR": comma(place.pod_nets),
        "nodePortAddresses": [f"{each}/{each.max_prefixlen}" for each in node],
        "healthzBindAddress": f"{place.node_address}:10256",
        # The table's size belongs to the host: in a network namespace it cannot be set.
        "conntrack": {"maxPerCore": 0, "min": 0},
        "oomScoreAdj": 0,
        # By default one second, during which the Service of a new pod refuses connections.
        "nftables": {"minSyncPeriod": "50ms", "syncPeriod": "30s"},
    }


def _plugins() -> Path:
    for folder in _PLUGINS:
        if (folder / "bridge").exists():
            return folder
    raise ClusterError("install the package containernetworking-plugins")


def _snapshotter(folder: Path) -> str:
    """Return which one works: an overlay cannot lie on an overlay, which a container's file system is."""
    below = run("findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(folder)).strip()
    return "native" if below == "overlay" else "overlayfs"
