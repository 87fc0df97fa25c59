"""Kubernetes `Service` (v1): what declares an external service by a name that applications call."""

import enum
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.documents import Document
from outgate.resources.hosts import external_name
from outgate.resources.metadata import ObjectMeta, parse_labels, parse_metadata
from outgate.resources.paths import child, quote
from outgate.resources.ports import ServicePort, parse_ports
from outgate.resources.problems import Location, Problem

__all__ = ["ObjectMeta", "Service", "ServicePort", "ServiceType", "parse_service"]


class ServiceType(enum.StrEnum):
    """How a Service is reached; ExternalName is the one that stands for something outside."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"
    EXTERNAL_NAME = "ExternalName"


_TOP_FIELDS = frozenset(("apiVersion", "kind", "metadata", "spec", "status"))
# k8s.io/api/core/v1.ServiceSpec, with what older API servers still write.
_FIELDS = frozenset(
    (
        "ports",
        "selector",
        "clusterIP",
        "clusterIPs",
        "type",
        "externalIPs",
        "sessionAffinity",
        "loadBalancerIP",
        "loadBalancerSourceRanges",
        "externalName",
        "externalTrafficPolicy",
        "healthCheckNodePort",
        "publishNotReadyAddresses",
        "sessionAffinityConfig",
        "ipFamilies",
        "ipFamilyPolicy",
        "allocateLoadBalancerNodePorts",
        "loadBalancerClass",
        "ipFamily",
        "internalTrafficPolicy",
        "trafficDistribution",
        "topologyKeys",
    )
)
# What a Service without an address in the cluster cannot have.
_CLUSTER_FIELDS = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


@dataclass(frozen=True, slots=True)
class Service:
    """A valid Service.

    `external_name` has no final dot, and is empty unless `type` is ExternalName. `cluster_ip` is an
    address, "None" for a headless Service, or empty.
    """

    metadata: ObjectMeta
    type: ServiceType
    external_name: str
    selector: Mapping[str, str]
    ports: tuple[ServicePort, ...]
    cluster_ip: str
    location: Location


def parse_service(
    document: Document, default_namespace: str
) -> tuple[Service | None, tuple[Problem, ...]]:
    """Read the Service in `document`, None if anything in it is an error, and all its problems.

    `default_namespace` is where it belongs if it does not say.
    """
    check = Checker(document)
    check.unknown_fields(document.value, "", _TOP_FIELDS)
    if (version := document.value.get("apiVersion")) != "v1":
        check.error("apiVersion", f"{quote(version)} is not allowed: a Service has v1")
    metadata = parse_metadata(check, document, default_namespace)
    spec = check.mapping(document.value, "", "spec")
    if document.value.get("spec") is None:
        check.error("spec", "is required: it has the type and ports of the Service")
    if spec is None:
        return None, check.problems
    check.unknown_fields(spec, "spec", _FIELDS)
    kind = check.choice(spec, "spec", "type", tuple(ServiceType))
    ports = parse_ports(check, spec)
    selector = parse_labels(check, spec, "spec", "selector")
    host, cluster_ip = _host(check, spec), _cluster_ip(check, spec)
    if kind == ServiceType.EXTERNAL_NAME:
        _check_external(check, spec, ports)
    elif not check.failed_at("spec.type"):
        # With an invalid type it is not known which of the other fields belong there.
        _check_internal(check, spec)
    if check.failed:
        return None, check.problems
    service = Service(
        metadata=metadata,
        type=ServiceType(kind or ServiceType.CLUSTER_IP),
        external_name=host,
        selector=selector,
        ports=ports,
        cluster_ip=cluster_ip,
        location=document.location,
    )
    return service, check.problems


def _host(check: Checker, spec: Mapping[str, Any]) -> str:
    value = spec.get("externalName")
    # Unquoted, 2130706433 and 127.1 are numbers in YAML, and addresses all the same.
    text = str(value) if type(value) in (int, float) else check.string(spec, "spec", "externalName")
    if not text or text == ".":
        return ""
    host, flaw = external_name(text)
    check.flaw("spec.externalName", flaw)
    return host


def _cluster_ip(check: Checker, spec: Mapping[str, Any]) -> str:
    text = check.string(spec, "spec", "clusterIP") or ""
    if text in ("", "None"):
        return text
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        message = f"{quote(text)} is not an IP address"
        check.error("spec.clusterIP", message, "remove it, or write None for a headless Service")
        return ""


def _check_external(
    check: Checker, spec: Mapping[str, Any], ports: tuple[ServicePort, ...]
) -> None:
    """Check what is special to ExternalName Services, which have no address in the cluster."""
    if spec.get("externalName") in (None, "", "."):
        hint = "the DNS name of the external service, for example httpbin.org"
        check.error("spec.externalName", "is required for type ExternalName", hint)
    if spec.get("selector"):
        message = "must not be set for type ExternalName: it stands for nothing in the cluster"
        check.error("spec.selector", message, "remove it, or write type: ClusterIP")
    for key in _CLUSTER_FIELDS:
        if spec.get(key):
            check.error(child("spec", key), "must not be set for type ExternalName", "remove it")
    _check_external_ports(check, ports)
    if not spec.get("ports"):
        message = "no port is declared, so nothing can be called"
        check.warning("spec.ports", message, "add one, for example {port: 80, name: http}")


def _check_external_ports(check: Checker, ports: tuple[ServicePort, ...]) -> None:
    for port in ports:
        if port.protocol != "TCP":
            message = f"{port.protocol} is not supported, the port is not programmed"
            check.warning(child(port.path, "protocol"), message, "only TCP can be called")
        if port.target_port not in (None, port.port):
            message = f"has no effect for type ExternalName: calls go to port {port.port} outside"
            hint = "write an ExternalService, which has a targetPort"
            check.warning(child(port.path, "targetPort"), message, hint)


def _check_internal(check: Checker, spec: Mapping[str, Any]) -> None:
    """Check what is special to the types that stand for something in the cluster."""
    if spec.get("externalName"):
        message = f"must not be set for type {spec.get('type') or ServiceType.CLUSTER_IP.value}"
        check.error("spec.externalName", message, "write type: ExternalName, or remove it")
    if not spec.get("ports") and spec.get("clusterIP") != "None":
        check.error("spec.ports", "is required: at least one port")
