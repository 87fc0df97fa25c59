"""The columns of resources and pods: as kubectl has them, from the same fields."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from outgate.cli.tables import age

Item = Mapping[str, Any]
Row = list[tuple[str, str]]
_MOST = 3


def service(item: Item, _: str, *, wide: bool) -> Row:
    """Return a Service's."""
    spec = item.get("spec", {})
    ports = ",".join(
        f"{port['port']}/{port.get('protocol', 'TCP')}" for port in spec.get("ports") or ()
    )
    row = [
        ("NAME", name(item)),
        ("TYPE", spec.get("type", "ClusterIP")),
        ("CLUSTER-IP", spec.get("clusterIP", "<none>")),
        ("EXTERNAL-IP", spec.get("externalName", "<none>")),
        ("PORT(S)", ports or "<none>"),
        ("AGE", _age(item)),
    ]
    if wide:
        selector = ",".join(f"{key}={value}" for key, value in (spec.get("selector") or {}).items())
        row.append(("SELECTOR", selector or "<none>"))
    return row


def pod(item: Item, _: str, *, wide: bool) -> Row:
    """Return a pod's."""
    status = item["status"]
    ready = status["containerStatuses"][0]["ready"]
    shown = {"Succeeded": "Completed", "Failed": "Error"}.get(status["phase"], status["phase"])
    row = [("NAME", name(item)), ("READY", "1/1" if ready else "0/1"), ("STATUS", shown)]
    row += [("RESTARTS", "0"), ("AGE", _age(item))]
    if wide:
        annotations = item["metadata"]["annotations"]
        row.append(("CAPTURE", annotations["outgate.dev/capture"]))
        row.append(("IDENTITY", annotations["outgate.dev/identity"]))
    return row


def external_service(item: Item, programmed: str, *, wide: bool) -> Row:
    """Return an ExternalService's."""
    spec = item["spec"]
    ports = [f"{each['port']}/{each['protocol']}" for each in spec["ports"]]
    row = [("NAME", name(item)), ("HOSTS", some(spec["hosts"])), ("PORTS", some(ports))]
    row += [("PROGRAMMED", programmed), ("AGE", _age(item))]
    if wide:
        row.append(("EXPORT-TO", some(spec.get("exportTo") or ["."])))
        row.append(("RULES", str(len(spec.get("rules") or ()))))
    return row


def egress_policy(item: Item, programmed: str, *, wide: bool) -> Row:
    """Return an EgressPolicy's."""
    spec = item.get("spec") or {}
    row = [("NAME", name(item)), ("MODE", spec.get("mode", "Enforce"))]
    row += [("PROGRAMMED", programmed), ("AGE", _age(item))]
    if wide:
        row.append(("SUBJECT", subject(spec)))
        row.append(("RULES", str(len(spec.get("rules") or ()))))
    return row


def plain(item: Item, programmed: str, *, wide: bool) -> Row:
    """Return what every kind has."""
    row = [("NAME", name(item)), ("AGE", _age(item))]
    return [*row[:1], ("PROGRAMMED", programmed), *row[1:]] if wide else row


ROWS: Mapping[str, Callable[..., Row]] = {
    "pod": pod,
    "service": service,
    "externalservice": external_service,
    "egresspolicy": egress_policy,
}
"""By kind, in lower case; others have `plain`."""


def name(item: Item) -> str:
    """Return its name."""
    return str(item["metadata"]["name"])


def some(texts: list[str]) -> str:
    """Return the first ones, and how many more there are."""
    more = len(texts) - _MOST
    return ",".join(texts[:_MOST]) + (f" + {more} more" if more > 0 else "")


def subject(spec: Item) -> str:
    """Return whom a policy is about."""
    said = spec.get("subject") or {}
    labels = (said.get("podSelector") or {}).get("matchLabels") or {}
    accounts = [f"serviceaccount={each}" for each in said.get("serviceAccounts") or ()]
    return ",".join([*(f"{key}={value}" for key, value in labels.items()), *accounts]) or "<all>"


def _age(item: Item) -> str:
    stamp = item["metadata"].get("creationTimestamp")
    if not stamp:
        return "<unknown>"
    return age((datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds())
