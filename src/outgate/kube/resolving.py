"""The resolver in each egress pod: a stock CoreDNS between the sidecars, the declared names and the cluster's own DNS.

Envoy answers for what is declared, but can neither pass one zone on nor take queries over TCP. No query for a name
outside the cluster's domain leaves here, whatever its type, but for pods of which only some ranges are captured: hosts
outside that are declared have an address here as Services have.
"""

import hashlib
from typing import Any

from outgate.inject import bootstrap
from outgate.inject.options import Options
from outgate.kube import naming
from outgate.xds import naming as xds_naming

MAP = "outgate-dns"
"""The ConfigMap with CoreDNS's configuration."""
_KEY, _FOLDER, _VOLUME = "Corefile", "/etc/coredns", "corefile"
_USER = 65532
"""That of the image."""
_AT_ONCE = 1000
"""Queries under way to the cluster's DNS: so many sockets and goroutines, 2 KB each as the page on `forward` has it."""

_COREFILE = """\
# Made by outgate install. Port {sealed} is asked by pods of which everything is captured, {forward} by others.
(common) {{
  errors
  # Envoy tells a capital from a small letter.
  rewrite name regex (.*)\\. {{1}} answer auto
}}
(cached) {{
  # What was so a moment ago is said again where nobody answers: Envoy may have been killed, and is started again.
  cache 1 {{
    serve_stale 1m verify
    servfail 0
    disable denial
  }}
}}
(declared) {{
  # What is declared. Where Envoy does not answer nobody else is asked.
  forward . 127.0.0.1:{envoy} {{
    prefer_udp
    max_fails 0
    next NXDOMAIN NOTIMP
  }}
}}
(cluster) {{
  import common
  # Other types are answered with nothing: the cluster's DNS may ask outside for what an ExternalName stands for.
  acl {{
    allow type A AAAA SRV
    filter
  }}
  # So it does for SRV, where that is not asked for a port.
  template IN SRV {domain} {{
    match ^[^_]
    rcode NOERROR
    fallthrough
  }}
  import cached
  import declared
  # All other names in the cluster.
  forward . /etc/resolv.conf {{
    max_concurrent {at_once}
    health_check 1s no_rec domain {domain}
  }}
}}
{domain}:{sealed} {domain}:{forward} {{
  import cluster
}}
.:{sealed} {{
  ready :{ready}
  import common
  template ANY PTR {{
    rcode NXDOMAIN
  }}
  # Envoy knows addresses alone; a name that is declared must not be denied because of another type.
  acl {{
    allow type A AAAA PTR
    filter
  }}
  import cached
  import declared
}}
.:{forward} {{
  import common
  import declared
  forward . /etc/resolv.conf {{
    max_concurrent {at_once}
    health_check 1s no_rec domain {domain}
  }}
}}
"""


def corefile(domain: str) -> str:
    """Return CoreDNS's configuration; `domain` is the suffix of the names of Services."""
    return _COREFILE.format(
        domain=domain,
        sealed=xds_naming.RESOLVER_PORT,
        forward=xds_naming.RESOLVER_FORWARD_PORT,
        envoy=xds_naming.DNS_PORT,
        ready=naming.RESOLVER_HEALTH_PORT,
        at_once=_AT_ONCE,
    )


def data(domain: str) -> dict[str, str]:
    """Return what the ConfigMap holds."""
    return {_KEY: corefile(domain)}


def annotations(domain: str) -> dict[str, str]:
    """Return what makes new pods where the configuration is another one."""
    # Not a hash of both: a chart knows the domain when it is installed.
    digest = hashlib.sha256(corefile("").encode()).hexdigest()
    return {"outgate.dev/corefile": f"{digest[:16]} {domain}"}


def container(images: Options, leaving: float) -> dict[str, Any]:
    """Return the container, which shares its pod's loopback with Envoy; both serve `leaving` seconds to the end."""
    security = bootstrap.security(_USER)
    # The image's program has it as a file capability: without leave to have that, the kernel does not start it.
    security["capabilities"] = {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
    return {
        "name": "dns",
        "image": images.coredns_image,
        "imagePullPolicy": images.pull_policy.value,
        "args": ["-conf", f"{_FOLDER}/{_KEY}"],
        "ports": [
            {"name": f"{name}-{protocol.lower()}", "containerPort": port, "protocol": protocol}
            for name, port in (
                ("dns", xds_naming.RESOLVER_PORT),
                ("forward", xds_naming.RESOLVER_FORWARD_PORT),
            )
            for protocol in ("UDP", "TCP")
        ],
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": naming.RESOLVER_HEALTH_PORT},
            "periodSeconds": 2,
            "failureThreshold": 2,
        },
        # Sidecars are told to go elsewhere meanwhile.
        "lifecycle": {"preStop": {"sleep": {"seconds": leaving}}},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": security,
        "volumeMounts": [{"name": _VOLUME, "mountPath": _FOLDER, "readOnly": True}],
    }


def volumes() -> list[dict[str, Any]]:
    """Return the volumes that the container mounts."""
    return [{"name": _VOLUME, "configMap": {"name": MAP}}]
