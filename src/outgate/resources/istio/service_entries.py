"""Istio's `ServiceEntry`: external services by the hosts that applications call."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.documents import Document
from outgate.resources.hosts import external_name, hostname
from outgate.resources.istio.endpoints import EntryEndpoint, is_never_called, parse_endpoints
from outgate.resources.istio.fields import check_fields
from outgate.resources.istio.reading import exported, texts, version, whole
from outgate.resources.istio.tables import SERVICE_ENTRY
from outgate.resources.metadata import ObjectMeta, parse_metadata
from outgate.resources.names import Flaw, dns_label, dns_subdomain
from outgate.resources.paths import child, item, quote
from outgate.resources.ports import MAX_PORT
from outgate.resources.problems import Location, Problem
from outgate.traffic.references import Network, Protocol

RESOLUTIONS = ("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS")
_LOCATIONS = ("MESH_EXTERNAL", "MESH_INTERNAL")
_TOP_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
_MOST_PLACES = 4096
"""Of one resource: each is a cluster of every egress Envoy, and so many an ExternalService may have."""
# istio.io/istio/pkg/config/protocol; of the databases only statistics are their own.
PROTOCOLS: Mapping[str, Protocol] = {
    "HTTP": Protocol.HTTP,
    "GRPC-WEB": Protocol.HTTP,
    "HTTP2": Protocol.HTTP2,
    "GRPC": Protocol.GRPC,
    "HTTPS": Protocol.TLS,
    "TLS": Protocol.TLS,
    "TCP": Protocol.TCP,
    "MONGO": Protocol.TCP,
    "MYSQL": Protocol.TCP,
    "REDIS": Protocol.TCP,
}


@dataclass(frozen=True, slots=True)
class EntryPort:
    """One port: `number` is what applications call, `target` (0: the same) what is called outside."""

    number: int
    protocol: Protocol
    name: str
    target: int = 0


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """A valid ServiceEntry.

    `hosts` are in lower case, without final dot; `*.example.com` stands for those below. `visible` are the namespaces
    that it is exported to, None for all. `names` are the subject alternative names.
    """

    metadata: ObjectMeta
    hosts: tuple[str, ...]
    networks: tuple[Network, ...]
    ports: tuple[EntryPort, ...]
    resolution: str
    endpoints: tuple[EntryEndpoint, ...]
    visible: frozenset[str] | None
    names: tuple[str, ...]
    location: Location


def parse_service_entry(
    document: Document, default_namespace: str
) -> tuple[ServiceEntry | None, tuple[Problem, ...]]:
    """Read the ServiceEntry in `document`, None if anything in it is an error, and all its problems."""
    check = Checker(document)
    check.unknown_fields(document.value, "", _TOP_FIELDS)
    version(check, document.value, "ServiceEntry")
    metadata = parse_metadata(check, document, default_namespace, dns_subdomain)
    spec = check.mapping(document.value, "", "spec")
    if spec is None:
        if document.value.get("spec") is None:
            check.error("spec", "is required: it has the hosts and ports")
        return None, check.problems
    check_fields(check, spec, "spec", SERVICE_ENTRY)
    if check.choice(spec, "spec", "location", _LOCATIONS) == "MESH_INTERNAL":
        message = "calls go out as to any other host, without Istio's mutual TLS"
        check.warning("spec.location", message, "write MESH_EXTERNAL")
    resolution = check.choice(spec, "spec", "resolution", RESOLUTIONS) or "NONE"
    hosts = _hosts(check, spec)
    ports = _ports(check, spec)
    entry = ServiceEntry(
        metadata=metadata,
        hosts=hosts,
        networks=_networks(check, spec, resolution),
        ports=ports,
        resolution=resolution,
        endpoints=parse_endpoints(check, spec, resolution, [port.name for port in ports]),
        visible=exported(check, spec, metadata.namespace),
        names=texts(check, spec, "spec", "subjectAltNames"),
        location=document.location,
    )
    _check_resolution(check, entry)
    if len(hosts) * len(ports) > _MOST_PLACES:
        message = (
            f"hosts times ports are {len(hosts) * len(ports)}, at most {_MOST_PLACES} are allowed"
        )
        check.error("spec.hosts", message, "divide them among several resources")
    return None if check.failed else entry, check.problems


def _hosts(check: Checker, spec: Mapping[str, Any]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for index, text in enumerate(texts(check, spec, "spec", "hosts")):
        host, flaw = _host(text)
        if not check.flaw(item("spec.hosts", index), flaw) and host not in found:
            found[host] = None
    if not spec.get("hosts"):
        check.error("spec.hosts", "is required", "the DNS names that applications call")
    return tuple(found)


def _host(text: str) -> tuple[str, Flaw | None]:
    name = text.lower()
    if name == "*":
        return name, Flaw("would be every host", "name those that are meant, or *.example.com")
    if name.startswith("*."):
        below = name[2:].removesuffix(".")
        flaw = hostname(below)
        if flaw is None and "." not in below:
            flaw = Flaw(f"{quote(text)} would be a whole top-level domain", "name the hosts")
        return f"*.{below}", flaw
    host, flaw = external_name(name)
    if flaw is None and "." not in host:
        message = f"{quote(text)} has no dot, as only the names of Services have none"
        return host, Flaw(message, "declare a Service of type ExternalName, or write the full name")
    return host, flaw


def _networks(check: Checker, spec: Mapping[str, Any], resolution: str) -> tuple[Network, ...]:
    found: list[Network] = []
    for index, text in enumerate(texts(check, spec, "spec", "addresses")):
        path = item("spec.addresses", index)
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            check.error(
                path, f"{quote(text)} is no IP address or range", "for example 192.0.2.0/24"
            )
            continue
        if is_never_called(network):
            message = f"{quote(text)} has addresses that are never called"
            check.error(path, message, "name those outside that are meant")
            continue
        if network.num_addresses > 1 and resolution not in ("NONE", "STATIC"):
            message = "a range is allowed with resolution NONE and STATIC only"
            check.error(path, message, "write an address")
        found.append(network)
    if found and resolution != "NONE":
        message = f"a call by address goes to that address, and not where {resolution} says"
        check.warning("spec.addresses", message, "call the host by its name")
    return tuple(found)


def _ports(check: Checker, spec: Mapping[str, Any]) -> tuple[EntryPort, ...]:
    found: list[EntryPort] = []
    items = check.items(spec, "spec", "ports")
    for index, entry in items:
        path = item("spec.ports", index)
        port = _port(check, entry, path)
        if port is None:
            continue
        if any(each.number == port.number for each in found):
            check.error(child(path, "number"), f"{port.number} is already there", "remove one")
        if port.name and any(each.name == port.name for each in found):
            check.error(child(path, "name"), f"{quote(port.name)} is already there", "rename one")
        found.append(port)
    if not spec.get("ports"):
        message = "no port is declared, so nothing can be called"
        hint = "add one, for example {number: 80, name: http, protocol: HTTP}"
        check.warning("spec.ports", message, hint)
    return tuple(found)


def _port(check: Checker, entry: Mapping[str, Any], path: str) -> EntryPort | None:
    number = whole(check, entry, path, "number", (1, MAX_PORT))
    if entry.get("number") is None:
        check.error(child(path, "number"), f"is required: 1 to {MAX_PORT}")
    name = check.string(entry, path, "name") or ""
    if name:
        check.flaw(child(path, "name"), dns_label(name))
    elif entry.get("name") in (None, ""):
        check.error(child(path, "name"), "is required", "for example http")
    target = whole(check, entry, path, "targetPort", (0, MAX_PORT)) or 0
    protocol = _protocol(check, entry, path)
    if number is None or protocol is None:
        return None
    return EntryPort(number, protocol, name, 0 if target == number else target)


def _protocol(check: Checker, entry: Mapping[str, Any], path: str) -> Protocol | None:
    text = (check.string(entry, path, "protocol") or "").upper()
    here = child(path, "protocol")
    if text == "UDP":
        message = "UDP is not supported, the port is not programmed"
        check.warning(here, message, "only TCP can be called")
    elif entry.get("protocol") in (None, ""):
        check.error(here, f"is required: {', '.join(PROTOCOLS)}")
    elif text not in PROTOCOLS:
        # Notes what is allowed, and what was probably meant.
        check.choice(entry, path, "protocol", tuple(PROTOCOLS))
    return PROTOCOLS.get(text)


def _check_resolution(check: Checker, entry: ServiceEntry) -> None:
    """Check what goes together: hosts, resolution and endpoints, as Istio does."""
    wild = [host for host in entry.hosts if host.startswith("*.")]
    if entry.resolution in ("DNS", "DNS_ROUND_ROBIN") and wild and not entry.endpoints:
        message = f"{entry.resolution} cannot look up {wild[0]}"
        hint = (
            "write DYNAMIC_DNS or NONE, which call the name that was asked for, or give endpoints"
        )
        check.error("spec.resolution", message, hint)
    if entry.resolution == "DYNAMIC_DNS" and len(wild) < len(entry.hosts):
        message = "an exact host is looked up as with DNS"
        check.warning("spec.resolution", message, "write DNS")
    if entry.resolution == "DNS_ROUND_ROBIN" and len(entry.endpoints) > 1:
        message = "DNS_ROUND_ROBIN allows one endpoint"
        check.error("spec.endpoints", message, "write resolution: DNS")
