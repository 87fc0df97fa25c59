"""The ports of a Service, with Kubernetes' rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outgate.resources.checks import Checker
from outgate.resources.names import dns_label, port_name, qualified_name
from outgate.resources.paths import child, item, quote, typed

MAX_PORT = 65535

_PATH = "spec.ports"
_TRANSPORTS = ("TCP", "UDP", "SCTP")
# k8s.io/api/core/v1.ServicePort.
_FIELDS = frozenset(("name", "protocol", "appProtocol", "port", "targetPort", "nodePort"))
_RANGE = f"a port is a whole number from 1 to {MAX_PORT}"


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port; `protocol` is TCP, UDP or SCTP, `path_index` its place in `spec.ports`, from 0.

    `name` and `app_protocol` may be empty; `target_port` is a number or the name of a container's.
    """

    name: str
    port: int
    protocol: str
    app_protocol: str
    target_port: int | str
    path_index: int

    @property
    def path(self) -> str:
        """Path of the port in its document."""
        return item(_PATH, self.path_index)


def parse_ports(check: Checker, spec: Mapping[str, Any]) -> tuple[ServicePort, ...]:
    """Read the valid ports, in the order written; what is wrong with others is in `check`."""
    items = check.items(spec, "spec", "ports")
    ports = tuple(_port(check, entry, index, len(items) > 1) for index, entry in items)
    _check_duplicates(check, items)
    return tuple(port for port in ports if port is not None)


def _port(
    check: Checker, entry: Mapping[str, Any], index: int, need_name: bool
) -> ServicePort | None:
    path = item(_PATH, index)
    check.unknown_fields(entry, path, _FIELDS)
    name = check.string(entry, path, "name")
    if name:
        check.flaw(child(path, "name"), dns_label(name))
    elif need_name and entry.get("name") in (None, ""):
        check.error(child(path, "name"), "is required where a Service has several ports")
    app_protocol = check.string(entry, path, "appProtocol")
    if app_protocol is not None:
        check.flaw(child(path, "appProtocol"), qualified_name(app_protocol))
    protocol = check.choice(entry, path, "protocol", _TRANSPORTS)
    _number(check, entry, path, "nodePort", zero=True)
    number = _number(check, entry, path, "port")
    if entry.get("port") is None:
        check.error(child(path, "port"), f"is required: {_RANGE}")
    target = _target(check, entry, path)
    if number is None:
        return None
    return ServicePort(
        name or "", number, protocol or "TCP", app_protocol or "", target or number, index
    )


def _number(
    check: Checker, entry: Mapping[str, Any], path: str, key: str, *, zero: bool = False
) -> int | None:
    """Read a port number; None if absent or invalid. With `zero`, 0 counts as absent."""
    value = entry.get(key)
    if value is None or (zero and value == 0 and type(value) is int):
        return None
    if type(value) is not int:
        hint = "remove the quotes" if isinstance(value, str) and value.isdecimal() else ""
        check.error(child(path, key), f"must be a whole number, not {typed(value)}: {_RANGE}", hint)
        return None
    if not 1 <= value <= MAX_PORT:
        check.error(child(path, key), f"{value} is out of range: {_RANGE}")
        return None
    return value


def _target(check: Checker, entry: Mapping[str, Any], path: str) -> int | str | None:
    value = entry.get("targetPort")
    if not isinstance(value, str):
        return _number(check, entry, path, "targetPort", zero=True)
    flaw = port_name(value) if value else None
    if flaw and value.isdecimal():
        message = f"{quote(value)} is text, and a port name has at least one letter"
        check.error(child(path, "targetPort"), message, "remove the quotes")
    else:
        check.flaw(child(path, "targetPort"), flaw)
    return value


def _check_duplicates(check: Checker, items: list[tuple[int, Mapping[str, Any]]]) -> None:
    """Note the second of two ports with one name, or with one number and protocol."""
    names: dict[str, int] = {}
    numbers: dict[tuple[int, str], int] = {}
    for index, entry in items:
        path = item(_PATH, index)
        name, number, protocol = entry.get("name"), entry.get("port"), entry.get("protocol")
        if isinstance(name, str) and name and (first := names.setdefault(name, index)) != index:
            message = f"{quote(name)} is already the name of {item(_PATH, first)}"
            check.error(child(path, "name"), message, "give each port its own name")
        transport = protocol if isinstance(protocol, str) and protocol else "TCP"
        if type(number) is not int:
            continue
        if (first := numbers.setdefault((number, transport), index)) != index:
            message = f"{number}/{transport} is already the port of {item(_PATH, first)}"
            check.error(child(path, "port"), message, "remove one of the two")
