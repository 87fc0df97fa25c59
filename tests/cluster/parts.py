"""The programs that make up the cluster: how each is started, and what shows that it is ready."""

from dataclasses import dataclass

from tests.cluster import builds
from tests.cluster.commands import ENVIRONMENT
from tests.cluster.places import API_PORT, NODE, Place, comma

_ETCD, _ETCD_PEER = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
_MANAGER_PORT, _SCHEDULER_PORT, _ROUTER_PORT = 10257, 10259, 20244


@dataclass(frozen=True, slots=True)
class Part:
    """A program with its arguments; `ready` succeeds, on the host, once it serves."""

    name: str
    command: tuple[str, ...]
    ready: tuple[str, ...]


def parts(place: Place) -> dict[str, Part]:
    """Return all parts, by the name of the program, in the order in which they are to be started."""
    kubernetes = (_api_server(place), _manager(place), _scheduler(place), _kubelet(place))
    first = (_etcd(place), _containerd(place))
    every = (*first, *kubernetes, _proxy(place), _coredns(place))
    return {each.name: each for each in every}


def optional(place: Place) -> dict[str, Part]:
    """Return parts that run only while a test wants them, by name."""
    return {each.name: each for each in (_router(place),)}


def _curl(url: str, *flags: str) -> tuple[str, ...]:
    return ("curl", "--silent", "--fail", "--max-time", "2", "--noproxy", "*", *flags, url)


def _secure(place: Place, port: int, path: str) -> tuple[str, ...]:
    url = f"https://{place.node_address}:{port}/{path}"
    return _curl(url, "--cacert", f"{place.folder}/pki/ca.crt")


def _etcd(place: Place) -> Part:
    health = f"http://{place.node_address}:2381"
    command = (
        *("etcd", "--name", NODE, "--data-dir", f"{place.folder}/etcd", "--unsafe-no-fsync"),
        *("--listen-client-urls", _ETCD, "--advertise-client-urls", _ETCD),
        *("--listen-peer-urls", _ETCD_PEER, "--initial-advertise-peer-urls", _ETCD_PEER),
        *("--initial-cluster", f"{NODE}={_ETCD_PEER}", "--listen-metrics-urls", health),
    )
    return Part("etcd", command, _curl(f"{health}/health"))


def _containerd(place: Place) -> Part:
    command = ("containerd", "--config", f"{place.folder}/containerd.toml")
    return Part("containerd", command, ("ctr", "--address", str(place.containerd), "version"))


def _api_server(place: Place) -> Part:
    pki = f"{place.folder}/pki"
    command = (
        *(_built("kube-apiserver"), "--etcd-servers", _ETCD, "--allow-privileged"),
        *("--advertise-address", place.node_address, "--secure-port", str(API_PORT)),
        *("--tls-cert-file", f"{pki}/server.crt", "--tls-private-key-file", f"{pki}/server.key"),
        *("--client-ca-file", f"{pki}/ca.crt", "--authorization-mode", "Node,RBAC"),
        *("--service-account-issuer", "https://kubernetes.default.svc.cluster.local"),
        *("--service-account-key-file", f"{pki}/accounts.key"),
        *("--service-account-signing-key-file", f"{pki}/accounts.key"),
        *("--service-cluster-ip-range", comma(place.service_nets)),
        *("--kubelet-client-certificate", f"{pki}/kubelet-client.crt"),
        *("--kubelet-client-key", f"{pki}/kubelet-client.key"),
        *("--kubelet-certificate-authority", f"{pki}/ca.crt"),
        *("--kubelet-preferred-address-types", "InternalIP"),
    )
    return Part("kube-apiserver", command, _secure(place, API_PORT, "readyz"))


def _manager(place: Place) -> Part:
    pki = f"{place.folder}/pki"
    command = (
        *(_built("kube-controller-manager"), *_leading(place, _MANAGER_PORT)),
        *("--service-account-private-key-file", f"{pki}/accounts.key"),
        *("--root-ca-file", f"{pki}/ca.crt", "--cluster-signing-cert-file", f"{pki}/ca.crt"),
        *("--cluster-signing-key-file", f"{pki}/ca.key"),
        # As kubeadm has it: each node says which addresses it gives to pods; here the one node gives them all.
        *("--allocate-node-cidrs=true", "--cluster-cidr", comma(place.pod_nets)),
        *("--service-cluster-ip-range", comma(place.service_nets)),
        *_masks(place),
        # By default a folder in /usr, which it would make.
        *("--flex-volume-plugin-dir", f"{place.folder}/volume-plugins"),
    )
    return Part("kube-controller-manager", command, _secure(place, _MANAGER_PORT, "healthz"))


def _masks(place: Place) -> tuple[str, ...]:
    if len(place.pod_nets) == 1:
        return (f"--node-cidr-mask-size={place.pod_nets[0].prefixlen}",)
    return tuple(
        f"--node-cidr-mask-size-ipv{each.version}={each.prefixlen}" for each in place.pod_nets
    )


def _scheduler(place: Place) -> Part:
    command = (_built("kube-scheduler"), *_leading(place, _SCHEDULER_PORT))
    return Part("kube-scheduler", command, _secure(place, _SCHEDULER_PORT, "healthz"))


def _leading(place: Place, port: int) -> tuple[str, ...]:
    """Return the flags of what there is only one of, with the API server's certificate."""
    pki = f"{place.folder}/pki"
    return (
        *("--kubeconfig", str(place.kubeconfig), "--leader-elect=false"),
        *("--bind-address", place.node_address, "--secure-port", str(port)),
        *("--tls-cert-file", f"{pki}/server.crt", "--tls-private-key-file", f"{pki}/server.key"),
    )


def _kubelet(place: Place) -> Part:
    addresses = ",".join(str(each[2]) for each in place.link_nets)
    command = (
        *(_built("kubelet"), "--config", f"{place.folder}/kubelet.yaml"),
        *("--kubeconfig", f"{place.folder}/node.kubeconfig", "--hostname-override", NODE),
        *("--node-ip", addresses, "--root-dir", f"{place.folder}/kubelet"),
    )
    return Part("kubelet", command, _curl(f"http://{place.node_address}:10248/healthz"))


def _proxy(place: Place) -> Part:
    command = (_built("kube-proxy"), "--config", f"{place.folder}/kube-proxy.yaml")
    return Part("kube-proxy", command, _curl(f"http://{place.node_address}:10256/healthz"))


def _coredns(place: Place) -> Part:
    command = (_built("coredns"), "-conf", f"{place.folder}/Corefile")
    return Part("coredns", command, _curl(f"http://{place.node_address}:8181/ready"))


def _router(place: Place) -> Part:
    """Return what enforces NetworkPolicies, and does nothing else: its rules stay when it ends."""
    command = (
        *("env", f"PATH={place.folder}/kube-router:{ENVIRONMENT['PATH']}", _built("kube-router")),
        *("--kubeconfig", str(place.kubeconfig)),
        *("--run-firewall=true", "--run-router=false", "--run-service-proxy=false"),
        *("--run-loadbalancer=false", "--hostname-override", NODE),
        *("--enable-ipv4=true", "--enable-ipv6=true"),
        *("--service-cluster-ip-range", comma(place.service_nets)),
        *("--health-port", str(_ROUTER_PORT), "--metrics-port", "0"),
        # It also acts when a policy or a pod changes, but may miss some of many that come at once.
        *("--iptables-sync-period", "1s"),
    )
    return Part(
        "kube-router", command, _curl(f"http://{place.node_address}:{_ROUTER_PORT}/healthz")
    )


def _built(name: str) -> str:
    return str(builds.program(name))
