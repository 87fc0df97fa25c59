"""Says what would become of a call: by the names that the egress Envoy itself looks up, not by a second opinion."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from outgate.errors import NotFoundError, UsageError
from outgate.host.mesh import Mesh
from outgate.model.addresses import RAW_IPV4
from outgate.model.destinations import Destination, External, Port, forms
from outgate.model.names import Name
from outgate.xds import naming

_PORTS = {"http": 80, "https": 443}


def explain(mesh: Mesh, pod: Name, url: str) -> dict[str, Any]:
    """Return the decision on a URL (or `tcp://host:port`), with the resource, listener, route and cluster behind it.

    UsageError where it is not a URL, NotFoundError where there is no such pod.
    """
    workload = mesh.workloads.get(pod)
    if workload is None:
        raise NotFoundError(f'pods "{pod.name}" not found in namespace "{pod.namespace}"')
    scheme, host, port = _parts(url)
    answer: dict[str, Any] = {
        "pod": str(pod),
        "identity": workload.identity(mesh.upstream.settings.trust_domain),
        "url": url,
    }
    found = _find(mesh, pod.namespace, host)
    if found is None:
        reason = f"no resource declares {host}; inside, the name does not resolve"
        if workload.include:
            reason += f"; addresses outside of {', '.join(map(str, workload.include))} are called directly"
        return answer | {"decision": "denied", "reason": reason}
    answer["resource"] = f"service/{found.name.name} in namespace {found.name.namespace}"
    declared = {each.number: each for each in found.ports}
    if port not in declared:
        listed = ", ".join(str(each) for each in sorted(declared))
        reason = f"{answer['resource']} declares no port {port}, but {listed}"
        return answer | {"decision": "denied", "reason": reason}
    if declared[port].is_http and _address(host) is not None:
        reason = f"HTTP calls are found by the name in their Host: call {found.name.name}, not its address"
        return answer | {"decision": "denied", "reason": reason}
    return answer | _path(mesh, found, declared[port], scheme, pod)


def _parts(url: str) -> tuple[str, str, int]:
    text = url if "//" in url else f"http://{url}"
    try:
        parts = urlsplit(text)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError as error:
        raise UsageError(f"{url!r} is not a URL: {error}") from error
    if not parts.hostname or port is None:
        raise UsageError(
            f"{url!r} is not a URL", hint="write it as http://NAME[:PORT]/ or tcp://NAME:PORT"
        )
    return parts.scheme, parts.hostname.rstrip("."), port


def _address(host: str) -> naming.IpAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _find(mesh: Mesh, namespace: str, host: str) -> Destination | None:
    if (address := _address(host)) is not None:
        taken = mesh.programmed.allocation.taken.items()
        names = [name for pair, name in taken if address in (pair.ipv4, pair.ipv6)]
        return mesh.programmed.destinations[names[0]] if names else None
    first, _, rest = host.partition(".")
    name = Name(rest.partition(".")[0] or namespace, first)
    domain = mesh.upstream.settings.trust_domain
    valid = forms(name, domain) if name.namespace == namespace else forms(name, domain)[1:]
    return mesh.programmed.destinations.get(name) if host in valid else None


def _path(mesh: Mesh, found: Destination, port: Port, scheme: str, pod: Name) -> dict[str, Any]:
    address = mesh.programmed.allocation.addresses[found.name]
    kind = naming.RAW if address.ipv4 in RAW_IPV4 else naming.CAPTURE
    answer: dict[str, Any] = {
        "decision": "allowed",
        "reason": f"declared as {port.protocol.value}",
        "address": f"{address.ipv4}, {address.ipv6}",
        "listener": naming.workload_listener(pod, kind),
    }
    host = found.host if isinstance(found, External) else "the pods it selects"
    if not port.is_http:
        cluster = naming.raw_cluster(address.ipv4, port.number)
        return answer | {"cluster": cluster, "upstream": f"{host}:{port.number}"}
    if scheme == "https":
        call = f"http://{found.name.name}" + ("" if port.number == 80 else f":{port.number}")
        reason = f"the port is declared as {port.protocol.value}: call it as {call}"
        return answer | {"decision": "denied", "reason": reason}
    tls = (
        f"TLS {port.number}, verified as {host}"
        if port.protocol.value == "https"
        else str(port.number)
    )
    return answer | {
        "route": str(found.name),
        "cluster": naming.http_cluster(found.name, port.number),
        "upstream": f"{host}:{tls}",
    }
