"""What a network plugin that enforces NetworkPolicies is told: where our pods may go, and captured ones.

The kernel's rules in a pod hold as long as nothing in it may change them; these hold outside of the pod. Addresses are
those after the translation of a Service, as most plugins see them. Pods are named by labels beside their ranges, as
some plugins know them by labels alone.
"""

import contextlib
import enum
import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

from outgate.firewall import guard
from outgate.inject.pod import CAPTURED_LABEL
from outgate.kube import naming
from outgate.model.workloads import Network
from outgate.settings import Settings
from outgate.xds import naming as xds_naming

Spec = dict[str, Any]
Place = tuple[str, int]
"""An address, and a port of TCP."""
_EVERY_PORT = [{"protocol": "TCP", "port": 1, "endPort": 65535}]


class Held(enum.StrEnum):
    """What captured pods may reach where network policies are enforced, besides the egress and DNS."""

    NONE = "none"
    """No policy is written for them."""
    CLUSTER = "cluster"
    """The cluster's pods and Services, and the API server."""
    STRICT = "strict"
    """What other policies in their namespace allow."""


def captured(
    held: Held,
    settings: Settings,
    inside: Iterable[Network],
    api_server: Iterable[Place] = (),
    *,
    every: bool,
) -> Spec:
    """Return the policy of a namespace: for `every` pod in it, else for those that were injected by themselves."""
    chosen: Spec = {} if every else {"matchLabels": {CAPTURED_LABEL: "true"}}
    rules = [_dns(settings)]
    if held is Held.STRICT:
        rules += [_to_egress(), _to_controller()]
    else:
        rules.append({"to": [{"namespaceSelector": {}}, *_blocks(inside)]})
        rules += [
            {"to": _blocks([ipaddress.ip_network(address)]), "ports": _ports(port)}
            for address, port in sorted(api_server)
        ]
    return {"podSelector": chosen, "policyTypes": ["Egress"], "egress": rules}


def egress(settings: Settings, inside: Iterable[Network]) -> Spec:
    """Return the policy of the egress Envoys: to the outside alone, whatever a declared name resolves to.

    And to the rate-limit service, if that is a Service of the cluster or an address. What is inside is refused also
    where its addresses are public ones; `guard_allow` comes before all that.
    """
    allowed = [ipaddress.ip_network(each) for each in settings.guard_allow]
    outside = {"ports": _EVERY_PORT}
    rules = [_dns(settings), _to_controller(), {"to": _outside(inside), **outside}]
    if allowed:
        rules.append({"to": _blocks(allowed), **outside})
    if settings.rate_limit_service:
        rules += _counting(settings.rate_limit_service)
    if settings.resolvers:
        resolvers = map(ipaddress.ip_network, settings.resolvers)
        rules.append({"to": _blocks(resolvers), "ports": _ports(53, "UDP", "TCP")})
    return {
        "podSelector": _named(naming.EGRESS),
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {
                "ports": [
                    *_egress_ports(),
                    *_ports(xds_naming.READY_PORT),
                    *_ports(naming.RESOLVER_HEALTH_PORT),
                ]
            }
        ],
        "egress": rules,
    }


def controller() -> Spec:
    """Return the policy of the controllers: who may call them is anybody, but on their ports only."""
    numbers = (naming.XDS_PORT, naming.WEBHOOK_PORT, naming.HEALTH_PORT)
    return {
        "podSelector": _named(naming.CONTROLLER),
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": [port for number in numbers for port in _ports(number)]}],
    }


def _counting(place: str) -> list[Spec]:
    """Return the way to a rate-limit service; none where the way outside is enough."""
    host, _, port = place.rpartition(":")
    host = host.strip("[]")
    with contextlib.suppress(ValueError):
        return [{"to": _blocks([ipaddress.ip_network(host)]), "ports": _ports(int(port))}]
    labels = host.rstrip(".").split(".")
    if labels[2:3] != ["svc"]:
        return []
    # Its pods may listen on another port than the Service.
    return [{"to": [{"namespaceSelector": _in(labels[1])}], "ports": _EVERY_PORT}]


def _dns(settings: Settings) -> Spec:
    place: list[Spec] = _blocks(map(ipaddress.ip_network, settings.cluster_dns)) or [
        {
            "namespaceSelector": _in("kube-system"),
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ]
    return {"to": place, "ports": _ports(53, "UDP", "TCP")}


def _to_egress() -> Spec:
    return {"to": [_ours(naming.EGRESS)], "ports": _egress_ports()}


def _egress_ports() -> list[Spec]:
    """Return where sidecars call the egress: tunnels, and its resolver."""
    resolvers = (xds_naming.RESOLVER_PORT, xds_naming.RESOLVER_FORWARD_PORT)
    return [
        *_ports(xds_naming.TUNNEL_PORT),
        *(port for number in resolvers for port in _ports(number, "UDP", "TCP")),
    ]


def _to_controller() -> Spec:
    return {"to": [_ours(naming.CONTROLLER)], "ports": _ports(naming.XDS_PORT)}


def _ours(name: str) -> Spec:
    return {"namespaceSelector": _in(naming.SYSTEM_NAMESPACE), "podSelector": _named(name)}


def _in(namespace: str) -> Spec:
    return {"matchLabels": {"kubernetes.io/metadata.name": namespace}}


def _named(name: str) -> Spec:
    return {"matchLabels": {"app.kubernetes.io/name": name}}


def _ports(number: int, *protocols: str) -> list[Spec]:
    return [{"protocol": each, "port": number} for each in protocols or ("TCP",)]


def _blocks(networks: Iterable[Network]) -> list[Spec]:
    return [{"ipBlock": {"cidr": str(each)}} for each in _sorted(networks)]


def _outside(inside: Iterable[Network]) -> list[Spec]:
    # Kubernetes takes an IPv4-mapped network for an IPv4 one, and no packet has such an address.
    refused = [
        each
        for each in (*guard.REFUSED, *inside)
        if each.version == 4 or each.network_address.ipv4_mapped is None
    ]
    return [
        {
            "ipBlock": {
                "cidr": every,
                "except": [str(each) for each in _sorted(refused) if each.version == version],
            }
        }
        for version, every in ((4, "0.0.0.0/0"), (6, "::/0"))
    ]


def _sorted(networks: Iterable[Network]) -> Sequence[Network]:
    """Return networks in order, without those that others hold: equal ranges make equal policies."""
    found = set(networks)
    return [
        each
        for version in (4, 6)
        for each in ipaddress.collapse_addresses(  # type: ignore[type-var]
            net for net in found if net.version == version
        )
    ]
