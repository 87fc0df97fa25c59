"""Showing resources and pods, in kubectl's forms."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from outgate.cli.common import client, namespace_option, pairs, say, store, warn
from outgate.cli.resources import KINDS, PODS
from outgate.errors import NotFoundError, UsageError

Item = Mapping[str, Any]


@click.command("get")
@click.argument("kind")
@click.argument("names", nargs=-1)
@namespace_option
@click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces.")
@click.option("-l", "--selector", multiple=True, help="Labels, as KEY=VALUE[,...].")
@click.option("-o", "--output", default="", help="json, yaml, wide, name, or jsonpath=TEMPLATE.")
def get_command(
    kind: str,
    names: tuple[str, ...],
    namespace: str,
    all_namespaces: bool,
    selector: tuple[str, ...],
    output: str,
) -> None:
    """List resources: `outgate get services`, `outgate get pod -l app=sleep`."""
    if "/" in kind:
        kind, _, name = kind.partition("/")
        names = (name, *names)
    wanted = pairs("-l", selector)
    items = [
        each
        for each in _items(kind)
        if (all_namespaces or each["metadata"]["namespace"] == namespace)
        and all(each["metadata"].get("labels", {}).get(k) == v for k, v in wanted.items())
    ]
    missing = [name for name in names if all(_name(each) != name for each in items)]
    if names:
        items = [each for each in items if _name(each) in names]
    _print(items, output, kind, single=len(names) == 1, namespaced=all_namespaces)
    for name in missing:
        warn(f'error: {kind} "{name}" not found in namespace "{namespace}"')
    if not items and not names and not output:
        warn(f"No resources found in {namespace} namespace.")
    if missing:
        sys.exit(1)


@click.command("describe")
@click.argument("kind")
@click.argument("names", nargs=-1)
@namespace_option
def describe_command(kind: str, names: tuple[str, ...], namespace: str) -> None:
    """Show resources in full, with what is wrong with them."""
    if "/" in kind:
        kind, _, name = kind.partition("/")
        names = (name, *names)
    items = [each for each in _items(kind) if each["metadata"]["namespace"] == namespace]
    if names:
        items = [each for each in items if _name(each) in names]
    if names and len(items) < len(set(names)):
        raise NotFoundError(f'{kind} "{names[0]}" not found in namespace "{namespace}"')
    say("\n\n".join(_describe(each) for each in items))


def _describe(item: Item) -> str:
    metadata = item["metadata"]
    labels = metadata.get("labels") or {}
    rows = [
        ("Name", metadata["name"]),
        ("Namespace", metadata["namespace"]),
        ("Labels", ",".join(f"{key}={value}" for key, value in labels.items()) or "<none>"),
        ("Created", metadata.get("creationTimestamp", "<unknown>")),
    ]
    spec = item.get("spec", {})
    if item["kind"] == "Service":
        rows.append(("Type", spec.get("type", "ClusterIP")))
        rows.append(("External Name", spec.get("externalName", "<none>")))
        rows += [("Port", _port(each)) for each in spec.get("ports") or ()]
    else:
        rows.append(("Identity", metadata["annotations"]["outgate.dev/identity"]))
        rows.append(("Capture", metadata["annotations"]["outgate.dev/capture"]))
        rows.append(("Status", item["status"]["phase"]))
        rows.append(("Command", " ".join(spec["containers"][0]["command"])))
    return "\n".join(f"{name + ':':<16}{value}" for name, value in rows)


def _port(port: Item) -> str:
    return f"{port.get('name') or '<unset>'}  {port['port']}/{port.get('protocol', 'TCP')}"


def _name(item: Item) -> str:
    return str(item["metadata"]["name"])


def _items(kind: str) -> list[dict[str, Any]]:
    if kind.lower() in PODS:
        found = client().call("pods")
        return [each["manifest"] for each in found]
    if kind.lower() not in KINDS:
        raise UsageError(f"{kind!r} is not a kind that Outgate keeps", hint="services, pods")
    found = [
        dict(each.value) for each in store().load().documents if each.value.get("kind") == "Service"
    ]
    for each in found:
        each["metadata"] = {"namespace": "default"} | each["metadata"]
    return sorted(found, key=lambda each: (each["metadata"]["namespace"], _name(each)))


def _print(
    items: list[dict[str, Any]], output: str, kind: str, *, single: bool, namespaced: bool
) -> None:
    whole: Any = {
        "apiVersion": "v1",
        "kind": "List",
        "metadata": {"resourceVersion": ""},
        "items": items,
    }
    shown = items[0] if single and items else whole
    if output == "json":
        say(json.dumps(shown, indent=4))
    elif output == "yaml":
        from outgate.resources.writing import to_yaml  # noqa: PLC0415 - only here

        click.echo(to_yaml(shown), nl=False)
    elif output == "name":
        for each in items:
            say(f"{each['kind'].lower()}/{_name(each)}")
    elif output.startswith("jsonpath="):
        from outgate.cli.jsonpath import render  # noqa: PLC0415 - only here

        click.echo(render(output.removeprefix("jsonpath="), shown), nl=False)
    elif output in ("", "wide"):
        _table(items, kind, wide=output == "wide", namespaced=namespaced)
    else:
        raise UsageError(f"-o {output!r}: expected json, yaml, wide, name or jsonpath=TEMPLATE")


def _table(items: list[dict[str, Any]], kind: str, *, wide: bool, namespaced: bool) -> None:
    if not items:
        return
    row = _pod_row if kind.lower() in PODS else _service_row
    rows = [row(each, wide=wide) for each in items]
    if namespaced:
        for each, item in zip(rows, items, strict=True):
            each.insert(0, ("NAMESPACE", item["metadata"]["namespace"]))
    titles = [title for title, _ in rows[0]]
    lines = [titles, *([value for _, value in each] for each in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    for line in lines:
        say(
            "   ".join(
                f"{value:<{width}}" for value, width in zip(line, widths, strict=True)
            ).rstrip()
        )


def _service_row(item: Item, *, wide: bool) -> list[tuple[str, str]]:
    spec = item.get("spec", {})
    ports = ",".join(
        f"{port['port']}/{port.get('protocol', 'TCP')}" for port in spec.get("ports") or ()
    )
    row = [
        ("NAME", _name(item)),
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


def _pod_row(item: Item, *, wide: bool) -> list[tuple[str, str]]:
    status = item["status"]
    ready = status["containerStatuses"][0]["ready"]
    shown = {"Succeeded": "Completed", "Failed": "Error"}.get(status["phase"], status["phase"])
    row = [("NAME", _name(item)), ("READY", "1/1" if ready else "0/1"), ("STATUS", shown)]
    row += [("RESTARTS", "0"), ("AGE", _age(item))]
    if wide:
        annotations = item["metadata"]["annotations"]
        row.append(("CAPTURE", annotations["outgate.dev/capture"]))
        row.append(("IDENTITY", annotations["outgate.dev/identity"]))
    return row


def _age(item: Item) -> str:
    stamp = item["metadata"].get("creationTimestamp")
    if not stamp:
        return "<unknown>"
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"
