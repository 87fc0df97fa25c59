"""Says what would become of a call, by the names that the egress Envoy itself looks up, not by a second opinion.

Without I/O, and for every provider: how a call gets to the egress is theirs to say.
"""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from outgate.errors import UsageError
from outgate.model.addresses import FULL, RAW_IPV4
from outgate.model.destinations import Destination, External, Port, forms
from outgate.model.names import Name
from outgate.xds import naming
from outgate.xds.egress import Programmed

_PORTS = {"http": 80, "https": 443}
ALLOWED, DENIED = "allowed", "denied"


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be called: `host` is a name in lower case, or an IP address; `path` is without a query."""

    scheme: str
    host: str
    port: int
    path: str = "/"

    @property
    def address(self) -> naming.IpAddress | None:
        """The address that `host` is; None for a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


def target(url: str) -> Target:
    """Read a URL, `tcp://HOST:PORT`, or a name; UsageError where it is none of these."""
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
    return Target(parts.scheme, parts.hostname.rstrip("."), port, parts.path or "/")


def named(host: str, namespace: str, domain: str) -> Name | None:
    """Return the Service that a name means to a caller in a namespace; None if it is no Service's."""
    first, _, rest = host.partition(".")
    name = Name(rest.partition(".")[0] or namespace, first)
    valid = forms(name, domain) if name.namespace == namespace else forms(name, domain)[1:]
    return name if host in valid else None


Judge = Callable[[Destination, Port, Target], Mapping[str, Any]]
"""Returns what is to be said of a call instead, or as well."""


@dataclass(frozen=True, slots=True)
class Explainer:
    """What is programmed, in a trust domain; `listeners` has the name of a caller's listener for each kind.

    `judge` says what policies decide on a call that is declared.
    """

    programmed: Programmed
    domain: str
    listeners: Mapping[str, str]
    judge: Judge | None = None

    def explain(self, called: Target, namespace: str) -> dict[str, Any]:
        """Return the decision on a call from a namespace, with the resource, listener, route and cluster behind it.

        There is no `resource` where none declares what is called.
        """
        found = self._find(called, namespace)
        if found is None:
            return {"decision": DENIED, "reason": f"no resource declares {called.host}"}
        resource = f"service/{found.name.name} in namespace {found.name.namespace}"
        declared = {each.number: each for each in found.ports}
        port = declared.get(called.port)
        if not declared:
            reason = f"{resource} is wrong, or declares no port: see its Events, or outgate analyze"
        elif port is None:
            listed = ", ".join(str(each) for each in sorted(declared))
            reason = f"{resource} declares no port {called.port}, but {listed}"
        elif port.is_http and called.address is not None:
            reason = f"HTTP calls are found by the name in their Host: call {found.name.name}, not its address"
        else:
            answer = {"resource": resource, **self._path(found, port, called.scheme)}
            if self.judge is not None and answer["decision"] == ALLOWED:
                answer |= self.judge(found, port, called)
            return answer
        return {"resource": resource, "decision": DENIED, "reason": reason}

    def _find(self, called: Target, namespace: str) -> Destination | None:
        address = called.address
        if address is None:
            name = named(called.host, namespace, self.domain)
        else:
            held = self.programmed.allocation.addresses.items()
            name = next((each for each, pair in held if address in (pair.ipv4, pair.ipv6)), None)
        return self.programmed.destinations.get(name) if name else None

    def _path(self, found: Destination, port: Port, scheme: str) -> dict[str, Any]:
        address = self.programmed.allocation.address(found.name)
        if address is None:
            return {"decision": DENIED, "reason": FULL}
        kind = naming.RAW if address.ipv4 in RAW_IPV4 else naming.CAPTURE
        answer: dict[str, Any] = {
            "decision": ALLOWED,
            "reason": f"declared as {port.protocol.value}",
            "address": f"{address.ipv4}, {address.ipv6}",
            "listener": self.listeners[kind],
        }
        host = found.host if isinstance(found, External) else "the pods it selects"
        if not port.is_http:
            cluster = naming.raw_cluster(address.ipv4, port.number)
            return answer | {"cluster": cluster, "upstream": f"{host}:{port.number}"}
        if scheme == "https":
            call = f"http://{found.name.name}" + ("" if port.number == 80 else f":{port.number}")
            reason = f"the port is declared as {port.protocol.value}: call it as {call}"
            return answer | {"decision": DENIED, "reason": reason}
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
