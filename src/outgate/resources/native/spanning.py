"""What must hold between fields of an ExternalService."""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from outgate.resources.schemas import Rule

Json = Mapping[str, Any]
_HTTP = ("HTTP", "HTTP2", "GRPC", "HTTPS")
_FIXED = ("healthCheck", "loadBalancing")
_REQUESTS = (
    "timeouts",
    "retries",
    "fault",
    "requestHeaders",
    "responseHeaders",
    "maxRequestBody",
    "decompress",
    "rules",
)

PORT_RULES = (
    Rule(
        lambda port: port.get("tls") is None or port["protocol"] != "TLS",
        "!has(self.tls) || self.protocol != 'TLS'",
        "protocol TLS is passed through as the application speaks it, so the egress cannot open TLS",
        "remove tls, or write protocol: TCP or HTTPS",
        "tls",
    ),
)


def _wild(spec: Json) -> bool:
    return any(str(each).startswith("*.") for each in spec["hosts"])


def _speaks(spec: Json, protocols: Iterable[str]) -> bool:
    return any(each["protocol"] in protocols for each in spec["ports"])


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _needs_fixed(name: str) -> Rule:
    return Rule(
        lambda spec: spec.get(name) is None or not _wild(spec) or spec.get("endpoints") is not None,
        f"!has(self.{name}) || has(self.endpoints) || !self.hosts.exists(h, h.startsWith('*.'))",
        "is not for a wildcard, which is wherever the name that is called is",
        "put hosts without * into a resource of their own, or add endpoints",
        name,
    )


def _needs_http(name: str) -> Rule:
    listed = ", ".join(f"'{each}'" for each in _HTTP)
    return Rule(
        lambda spec: spec.get(name) is None or _speaks(spec, _HTTP),
        f"!has(self.{name}) || self.ports.exists(p, p.protocol in [{listed}])",
        "is for HTTP, and no port here speaks it",
        f"remove {name}, or write protocol: HTTP at a port",
        name,
    )


def _rule_ports(spec: Json) -> bool:
    numbers = {each["port"] for each in spec["ports"]}
    return all(
        number in numbers for rule in spec.get("rules") or () for number in rule.get("ports") or ()
    )


def _static(spec: Json) -> bool:
    return spec.get("resolution") == "Static"


def _asked_by_grpc(spec: Json) -> bool:
    return (spec.get("healthCheck") or {}).get("type") == "GRPC"


def _has_http2(port: Json) -> bool:
    encrypted = port["protocol"] == "HTTP" and port.get("tls") is not None
    return encrypted or port["protocol"] in ("HTTP2", "GRPC", "HTTPS")


_CHECKS: tuple[tuple[Callable[[Json], bool], str, str, str, str], ...] = (
    (
        lambda spec: not (_wild(spec) and _speaks(spec, ("TCP",))),
        "!self.hosts.exists(h, h.startsWith('*.')) || !self.ports.exists(p, p.protocol == 'TCP')",
        "protocol TCP does not say which of a wildcard's names is called",
        "name the hosts one by one, or write protocol: TLS",
        "ports",
    ),
    (
        lambda spec: not _static(spec) or spec.get("endpoints") is not None,
        "!has(self.resolution) || self.resolution != 'Static' || has(self.endpoints)",
        "Static needs endpoints",
        "for example endpoints: [{address: 198.51.100.1}]",
        "resolution",
    ),
    (
        lambda spec: (
            not _static(spec)
            or all(_is_ip(each["address"]) for each in spec.get("endpoints") or ())
        ),
        "!has(self.resolution) || self.resolution != 'Static' || !has(self.endpoints) || "
        "self.endpoints.all(e, isIP(e.address))",
        "resolution Static takes IP addresses",
        "write IP addresses, or resolution: DNS",
        "endpoints",
    ),
    (
        lambda spec: not _asked_by_grpc(spec) or all(map(_has_http2, spec["ports"])),
        "!has(self.healthCheck) || self.healthCheck.type != 'GRPC' || "
        "self.ports.all(p, p.protocol in ['HTTP2', 'GRPC', 'HTTPS'] || (p.protocol == 'HTTP' && has(p.tls)))",
        "type GRPC asks by HTTP/2, which not all ports here speak",
        "write type: TCP; or protocol: GRPC at each port",
        "healthCheck",
    ),
    (
        _rule_ports,
        "!has(self.rules) || self.rules.all(r, !has(r.ports) || r.ports.all(n, self.ports.exists(p, p.port == n)))",
        "a rule has a port that is not among spec.ports",
        "declare it in spec.ports, or remove it from the rule",
        "rules",
    ),
)
SPEC_RULES = (
    *(Rule(*each) for each in _CHECKS),
    *(_needs_fixed(each) for each in _FIXED),
    *(_needs_http(each) for each in _REQUESTS),
)
