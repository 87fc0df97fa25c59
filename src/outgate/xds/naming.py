"""The names by which Envoy's resources refer to each other, in one place because the data path is built on them.

A plain TCP connection's cluster is looked up by its address (`raw_cluster`): a cluster that does not exist is a
destination that is not declared. So a listener never has to list destinations, and never changes with them.
"""

import hashlib
import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from outgate.model.names import Name
from outgate.traffic.permitting import Credential
from outgate.traffic.references import ConfigMapKey, FileKey, Material, Network, SecretKey, Target

IpAddress = IPv4Address | IPv6Address

CAPTURE_PORT = 15001
"""Where captured TCP arrives in a workload's namespace; the number is Istio's."""
RAW_PORT = 15002
"""Where TCP to services with a plain TCP port arrives: nothing there waits for the client's first bytes."""
DNS_PORT, DNS_FORWARD_PORT = 15053, 15054
"""Where captured DNS arrives in a workload's namespace: the second, of a sidecar, is for one of which only some ranges
are captured. In an egress pod the declared names are at the first, on its loopback."""
RESOLVER_PORT, RESOLVER_FORWARD_PORT = 15353, 15354
"""Where a resolver beside an egress Envoy in a cluster is asked; the second is for the latter."""

TUNNEL_PORT = 15008
"""Where tunnels arrive at an egress Envoy in a cluster; the number is Istio's."""
READY, READY_PORT, READY_PATH = "ready", 15021, "/healthz/ready"
"""Where a proxy in a cluster says that it has its configuration; the port and the path are Istio's."""

CAPTURE, RAW, LATE, TUNNEL = "capture", "raw", "late", "tunnel"
"""Listeners of the egress Envoy that are not a workload's own: ends of tunnels, and the tunnels' own front."""
ADDRESS, ADDRESS_LATE = "address", "address-late"
"""The inner listener of calls by address."""
DNS, DNS_FORWARD = "dns", "dns-forward"
"""Listeners that answer for declared names; the second asks the real resolver for all others."""
DENY = "deny"
"""A cluster without endpoints: where a connection goes that no cluster matches."""
DIRECT = "direct"
"""Where a sidecar sends what stays inside the cluster."""
SCOPES = "services"
"""Name of the scoped route set."""

ON_DEMAND = "envoy.filters.http.on_demand"
"""Name of the filter that fetches clusters."""
FAULT, BUFFER = "envoy.filters.http.fault", "envoy.filters.http.buffer"
GZIP, BROTLI = "outgate.gzip", "outgate.brotli"
CALLER = "outgate.caller"
"""Names of filters that only some routes switch on; the last one keeps who calls, to be hashed, as STATE_CALLER."""

SCOPE_HEADER = "x-outgate-scope"
PORT_HEADER = "x-outgate-port"
NAMESPACE_HEADER, IDENTITY_HEADER = "x-outgate-namespace", "x-outgate-identity"
POD_HEADER = "x-outgate-pod"
"""Set on each request by the listener, removed before it leaves; whatever a client sends is overwritten."""

STATE_NAMESPACE, STATE_IDENTITY, STATE_POD = "outgate.namespace", "outgate.identity", "outgate.pod"
STATE_ASKED = "outgate.asked"
"""Filter state: where a call to a wildcard goes (HOST:PORT), for a proxy on the way; a listener sets it."""
STATE_CALLER = "outgate.caller"
STATE_ORIGINAL = "envoy.filters.listener.original_dst.local_ip"
STATE_CLUSTER = "envoy.tcp_proxy.cluster"
STATE_ALPN = "envoy.network.application_protocols"
"""Filter state: the first four are ours; the others are Envoy's names, which its filters read."""
STATE_TUNNEL = "outgate.tunnel"
"""Whose tunnel a connection came by, to be hashed; it is not passed on to where calls go."""
STATE_RESOURCE, STATE_HOST, STATE_PATH = "outgate.resource", "outgate.host", "outgate.path"
STATE_SUBJECTS, STATE_ELSEWHERE = "outgate.subjects", "outgate.elsewhere"
"""Filter state of a call, for policies: which resource declares what is called, the host outside, the path without the
query, what the pod is to policies (`|a|b|`), and whether the request, or a copy, goes to another destination."""
STATE_ALLOWED, STATE_DENIED, STATE_AUDIT = "outgate.allowed", "outgate.denied", "outgate.audit"
"""Of a connection: the rule that allows it, the one that denies it, and what audited policies would decide."""

METADATA = "outgate"
"""Namespace of metadata on clusters and routes."""
SOCKET_MARK = 0x6F67
"""SO_MARK on the egress's sockets to the outside, by which the guard knows them ("og")."""
MARK_MASK = 0xFFF00000
"""The part that says whose a mark is (`mark_of_mesh`), of sockets that may go to ranges a resource names; the rest says
to which. Those of another mesh on the machine are none of a guard's business."""


def http_cluster(service: Name, port: int) -> str:
    """Return the cluster of an HTTP port."""
    return f"http|{service}|{port}"


MISSING = "missing|"


def missing(target: Target) -> str:
    """Return the cluster of a rule's share that leads to what is not declared: there never is one of that name."""
    return f"{MISSING}{target.namespace}/{target.name}:{target.port}"


WILD = "wild|"
"""What the names of wildcards' inner listeners begin with."""


def wildcard(name: Name) -> str:
    """Return the inner listener of a wildcard, such as `*.example.com`, and its route configuration."""
    return f"{WILD}{name.namespace}|{name.name}"


def host_port(address: IpAddress, port: int) -> str:
    """Write an address as Envoy's %DOWNSTREAM_LOCAL_ADDRESS% does: `192.0.2.1:80`, `[2001:db8::1]:80`."""
    return f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"


def raw_prefix(namespace: str = "") -> str:
    """Return what begins the cluster of a connection that is found by its address; for callers of a namespace, or all.

    A caller's own words, such as TLS's server name, come after the first `|` and cannot change what stands before it.
    """
    return f"tcp@{namespace}|" if namespace else "tcp|"


def raw_cluster(address: IpAddress, port: int, namespace: str = "") -> str:
    """Return the cluster of connections to a virtual address that is found by itself; `namespace` in a local region."""
    return raw_prefix(namespace) + host_port(address, port)


def tls_prefix(namespace: str = "") -> str:
    """Return what begins the cluster of a TLS connection that is found by its server name; as `raw_prefix`."""
    return f"tls@{namespace}|" if namespace else "tls|"


def tls_cluster(host: str, port: int, namespace: str = "") -> str:
    """Return the cluster of TLS connections that are passed through to a host."""
    return f"{tls_prefix(namespace)}{host}:{port}"


_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"


def below(wildcard: str) -> str:
    """Return the regular expression of the names below a wildcard, at any depth."""
    return rf"({_LABEL}\.)+{re.escape(wildcard.removeprefix('*.'))}"


def dynamic_cluster(name: Name, port: int) -> str:
    """Return the cluster of a wildcard's TLS connections, which go on to the name that each asks for."""
    return f"sni|{name}|{port}"


def internal_cluster(listener: str) -> str:
    """Return the cluster that leads to an internal listener."""
    return f"internal|{listener}"


def inbound(pod: Name, port: int) -> str:
    """Return the internal listener, and the cluster, that lead into a pod's own namespace."""
    return f"inbound|{pod}|{port}"


def workload_listener(pod: Name, kind: str) -> str:
    """Return the listener of `kind` (capture, raw, dns) inside a workload's namespace, and for dns its cluster."""
    return f"pod|{pod}|{kind}"


MATERIALS = ("material|", "ca|", "client|")
"""How the names of secrets begin that hold what Secrets, ConfigMaps and files do."""


def material(source: Material) -> str:
    """Return the secret that holds an entry of a Secret or ConfigMap, or a file, as it is."""
    match source:
        case SecretKey():
            return f"material|secret|{source.namespace}/{source.name}/{source.key}"
        case ConfigMapKey():
            return f"material|configmap|{source.namespace}/{source.name}/{source.key}"
        case FileKey():
            return f"material|file|{source.path}"


def text(source: Material, prefix: str = "") -> str:
    """Return the secret that holds the value of a header: with what stands before it, so it has a name of its own."""
    return f"text|{prefix}|{material(source)}" if prefix else material(source)


def credential(held: Credential) -> str:
    """Return the secret of a header that policies have put in."""
    return text(held.material, held.prefix)


def vault(held: Credential) -> str:
    """Return the inner listener, and the cluster, at which a credential is to be had."""
    return f"vault|{held.header}|{credential(held)}"


def limit(namespace: str, rule: str) -> str:
    """Return the inner listener, and the cluster, at which calls that a rule allows are counted."""
    return f"limit|{namespace}|{rule}"


def trusted(ca: Material) -> str:
    """Return the secret that holds a CA bundle; it is of another kind, so it has another name."""
    return f"ca|{material(ca)}"


def client_certificate(certificate: Material, key: Material) -> str:
    """Return the secret that holds a client's certificate with its key."""
    return f"client|{material(certificate)}|{material(key)}"


def proxied(cluster: str) -> str:
    """Return the inner listener, and the cluster, that lead a cluster's connections through a proxy on the way."""
    return f"proxy|{cluster}"


def names_asked(service: Name, port: int) -> str:
    """Return the cache of the names below a wildcard that were asked for."""
    return f"names|{service}|{port}"


def mirror(owner: Name, name: Name, port: int) -> str:
    """Return the cluster of a destination and its port to which copies of calls to `owner` go."""
    return f"mirror|{owner}|{name}:{port}"


def failover(owner: Name, members: Iterable[tuple[Name, int]]) -> str:
    """Return the cluster of a backend of `owner`'s with those that are used, in order, as it fails.

    Each is a destination and its port, as `http_cluster` takes them; the first is the backend itself.
    """
    return "|".join((f"failover|{owner}", *(f"{name}:{port}" for name, port in members)))


def mark_of_mesh(mesh: str) -> int:
    """Return what begins all marks that name ranges in a mesh."""
    return 0x60000000 | hashlib.blake2b(mesh.encode(), digest_size=1).digest()[0] << 20


def socket_mark(mesh: str, permitted: Iterable[Network]) -> int:
    """Return the mark of sockets that may go to these ranges, refused otherwise; in any order, the same each time."""
    ranges = sorted(map(str, permitted))
    if not ranges:
        return SOCKET_MARK
    digest = hashlib.blake2b(",".join(ranges).encode(), digest_size=4).digest()
    return mark_of_mesh(mesh) | int.from_bytes(digest) & ~MARK_MASK
