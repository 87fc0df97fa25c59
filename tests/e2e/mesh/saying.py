"""Manifests of every front end, as short as tests want to say them."""

import json
from collections.abc import Iterable
from typing import Any


def manifest(api_version: str, kind: str, name: str, **rest: Any) -> str:
    return json.dumps({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **rest})


def service(name: str, host: str, **ports: int) -> str:
    """A Service of type ExternalName; `tcp_x=7` is the port 7, called `tcp-x`; without any, `http=80`."""
    ports = ports or {"http": 80}
    listed = [{"name": key.replace("_", "-"), "port": value} for key, value in ports.items()]
    spec = {"type": "ExternalName", "externalName": host, "ports": listed}
    return manifest("v1", "Service", name, spec=spec)


def secret(name: str, **entries: str) -> str:
    """`ca_crt` is the entry `ca.crt`."""
    said = {key.replace("_", "."): value for key, value in entries.items()}
    return manifest("v1", "Secret", name, stringData=said)


def _port(text: str) -> dict[str, Any]:
    protocol, number, *target = text.split(":")
    outside = {"targetPort": int(target[0])} if target else {}
    return {"port": int(number), "protocol": protocol, **outside}


def external(
    *hosts: str, ports: Iterable[str | dict[str, Any]] = ("HTTP:80",), name: str = "", **spec: Any
) -> str:
    """An ExternalService; a port is `HTTP:80`, `HTTPS:80:443` for 443 outside, or its fields."""
    listed = [_port(each) if isinstance(each, str) else each for each in ports]
    listed = [{"name": f"p{each['port']}", **each} for each in listed]
    name = name or hosts[0].replace("*", "any").replace(".", "-")
    said = {"hosts": hosts, "ports": listed, **spec}
    return manifest("outgate.dev/v1alpha1", "ExternalService", name, spec=said)


def policy(name: str, *rules: dict[str, Any], subject: Any = None, mode: str = "Enforce") -> str:
    """An EgressPolicy."""
    spec = {"subject": subject or {}, "mode": mode, "rules": rules}
    return manifest("outgate.dev/v1alpha1", "EgressPolicy", name, spec=spec)


def istio(kind: str, spec: Any, name: str = "it") -> str:
    return manifest("networking.istio.io/v1", kind, name, spec=spec)


def entry(host: str, *ports: str, name: str = "", **spec: Any) -> str:
    """A ServiceEntry; `80/HTTP/443` is port 80, which leads to 443 outside."""
    listed = []
    for each in ports:
        number, protocol, *target = each.split("/")
        port = {"number": int(number), "name": f"p{number}", "protocol": protocol}
        listed.append(port | ({"targetPort": int(target[0])} if target else {}))
    said = {"hosts": [host], "ports": listed, "resolution": "DNS", "exportTo": ["."], **spec}
    return istio("ServiceEntry", said, name or host.removeprefix("*.").replace(".", "-"))


def routes(*http: Any, hosts: Any = ("echo.test",)) -> str:
    """A VirtualService; what says nothing of where it leads goes to the first host itself."""
    own = [{"destination": {"host": hosts[0]}}]
    answers = ("redirect", "directResponse", "route")
    listed = [
        each if any(key in each for key in answers) else {**each, "route": own} for each in http
    ]
    return istio("VirtualService", {"hosts": list(hosts), "http": listed})


def rule(host: str, policy: Any, name: str = "rule") -> str:
    """A DestinationRule."""
    return istio("DestinationRule", {"host": host, "trafficPolicy": policy}, name)


def route(rules: str, parent: str = "echo", kind: str = "HTTPRoute", name: str = "r") -> str:
    """A route of the Gateway API, of a Service; `rules` are YAML, indented by two."""
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: {kind}
metadata: {{name: {name}}}
spec:
  parentRefs: [{{kind: Service, group: "", name: {parent}}}]
  rules:
{rules}
"""


def xbackend(name: str, host: str, port: int, rest: str = "") -> str:
    return f"""
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XBackend
metadata: {{name: {name}}}
spec:
  type: ExternalHostname
  externalHostname: {{hostname: {host}}}
  port: {{port: {port}}}
{rest}
"""


def tls(host: str) -> str:
    """The rest of an XBackend whose TLS the egress opens."""
    verified = f"{{hostname: {host}, wellKnownCACertificates: System}}"
    return f"  protocol: HTTP\n  tls: {{mode: ServerOnly, validation: {verified}}}"
