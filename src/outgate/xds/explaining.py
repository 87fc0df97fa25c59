"""Says what would become of a call, by the names that the egress Envoy itself looks up, not by a second opinion.

Without I/O, and for every provider: how a call gets to the egress is theirs to say.
"""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from outgate.errors import UsageError
from outgate.model.addresses import FULL, holder
from outgate.model.destinations import Destination, External, Port, forms
from outgate.model.names import Name
from outgate.traffic.references import Protocol
from outgate.xds import addressed, naming, originating
from outgate.xds.egress import Programmed
from outgate.xds.holding import Holder
from outgate.xds.routes import scope_key

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
        if (answer := self._by_address(called, namespace)) is not None:
            return answer
        held = self._held(called, namespace)
        if held is None:
            return {"decision": DENIED, "reason": f"no resource declares {called.host}"}
        found = seen(held, namespace)
        if found is None:
            several = ", ".join(sorted(_resource(each) for each in held.declared))
            reason = f"{called.host} is declared by {several}, which callers in namespace {namespace} do not see"
            return {"decision": DENIED, "reason": reason}
        resource = _resource(found)
        declared = {each.number: each for each in found.ports}
        port = declared.get(called.port)
        if not declared:
            reason = f"{resource} is wrong, or declares no port: see its Events, or outgate analyze"
        elif port is None:
            listed = ", ".join(str(each) for each in sorted(declared))
            reason = f"{resource} declares no port {called.port}, but {listed}"
        elif port.protocol is not Protocol.TCP and called.address is not None:
            reason = f"calls are found by the name that they ask for: call {held.name.name}, not its address"
        else:
            answer = {"resource": resource, **self._path(found, port, called, namespace)}
            if self.judge is not None and answer["decision"] == ALLOWED:
                answer |= self.judge(found, port, called)
            return answer
        return {"resource": resource, "decision": DENIED, "reason": reason}

    def _by_address(self, called: Target, namespace: str) -> dict[str, Any] | None:
        """Return the decision on a call to an address in a network that is declared; None for any other call."""
        if (address := called.address) is None:
            return None
        declared = self.programmed.by_address.values()
        found = addressed.find(declared, address, namespace, called.port)
        if found is None:
            return None
        resource, service = _resource(found), addressed.by_address(found)
        port = next((each for each in service.ports if each.number == called.port), None)
        if port is None:
            listed = ", ".join(str(each.number) for each in found.ports)
            reason = f"{resource} declares no port {called.port}, but {listed}"
        elif not (reason := _misspoken(called.host, port, called.scheme)):
            routed = {"route": naming.wildcard(service.name)} if port.is_http else {}
            return {
                "resource": resource,
                "decision": ALLOWED,
                "reason": f"the address is declared, as {port.protocol.value}",
                "listener": naming.ADDRESS,
                **routed,
                "cluster": addressed.cluster(service, port),
                "upstream": f"{called.host}:{port.outside}",
            }
        return {"resource": resource, "decision": DENIED, "reason": reason}

    def _held(self, called: Target, namespace: str) -> Holder | None:
        """Return whose address a name has, as DNS answers it: its own, or that of the longest wildcard."""
        holders = self.programmed.holders
        if called.address is not None:
            held = self.programmed.allocation.addresses.items()
            found = (name for name, pair in held if called.address in (pair.ipv4, pair.ipv6))
            return next((holders[name] for name in found if name in holders), None)
        if (name := named(called.host, namespace, self.domain)) in holders and name is not None:
            return holders[name]
        labels = called.host.split(".")
        above = ("*." + ".".join(labels[start:]) for start in range(1, len(labels)))
        names = (Name("", each) for each in (called.host, *above))
        return next((holders[each] for each in names if each in holders), None)

    def _path(
        self, found: Destination, port: Port, called: Target, namespace: str
    ) -> dict[str, Any]:
        address = self.programmed.allocation.address(found.name)
        claim = self.programmed.allocation.claims.get(holder(found.name))
        if address is None or claim is None:
            return {"decision": DENIED, "reason": FULL}
        name = found.name.name
        if reason := _misspoken(called.host if "*" in name else name, port, called.scheme):
            return {"decision": DENIED, "reason": reason}
        raw = claim.region.is_raw
        answer: dict[str, Any] = {
            "decision": ALLOWED,
            "reason": f"declared as {port.protocol.value}",
            "address": f"{address.ipv4}, {address.ipv6}",
            "listener": self.listeners[naming.RAW if raw else naming.CAPTURE],
        }
        local = namespace if claim.region.is_local else ""
        wildcard = isinstance(found, External) and found.is_wildcard
        if wildcard:
            answer["listener"] = naming.wildcard(found.name)
        host = found.host if isinstance(found, External) else "the pods it selects"
        upstream = f"{called.host if wildcard else host}:{port.outside}"
        if port.protocol is Protocol.TCP:
            cluster = naming.raw_cluster(address.ipv4, port.number, local)
            return answer | {"cluster": cluster, "upstream": upstream}
        if port.protocol is Protocol.TLS:
            return answer | {
                "cluster": naming.dynamic_cluster(found.name, port.number)
                if wildcard
                else naming.tls_cluster(host, port.number, local),
                "upstream": f"{upstream}, TLS as it is",
            }
        return answer | {
            "route": naming.wildcard(found.name) if wildcard else ".".join(scope_key(found.name)),
            "cluster": naming.http_cluster(found.name, port.number),
            "upstream": _verified(port, called.host if wildcard else host),
        }


def seen(held: Holder, namespace: str) -> Destination | None:
    """Return which of those that declare a name counts for callers of a namespace."""
    return next(
        (each for each, callers in held.views() if callers.among((namespace,)) >= {namespace}), None
    )


def _resource(found: Destination) -> str:
    source = found.source if isinstance(found, External) else ""
    return f"{source or f'service/{found.name.name}'} in namespace {found.name.namespace}"


def _misspoken(name: str, port: Port, scheme: str) -> str:
    """Say why a call is denied that speaks another protocol than the port is declared with."""
    number = port.number
    if port.is_http and scheme == "https":
        call = f"http://{name}" + ("" if number == 80 else f":{number}")
        return f"the port is declared as {port.protocol.value}: call it as {call}"
    if port.protocol is Protocol.TLS and scheme == "http":
        call = f"https://{name}" + ("" if number == 443 else f":{number}")
        return f"the port is declared as tls: call it as {call}"
    return ""


def _verified(port: Port, host: str) -> str:
    tls = originating.of(port)
    if tls is None:
        return f"{host}:{port.outside}"
    names = ", ".join(tls.names) or host
    return f"{host}:TLS {port.outside}, " + (
        f"verified as {names}" if tls.verify else "not verified"
    )
