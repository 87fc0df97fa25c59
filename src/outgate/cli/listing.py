"""Showing resources and pods, in kubectl's forms."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from outgate.cli import files
from outgate.cli.common import client, namespace_option, pairs, say, store, warn
from outgate.cli.resources import KINDS, PODS
from outgate.cli.tables import age, table
from outgate.errors import NotFoundError, UsageError
from outgate.resources.problems import Problem, Severity

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
    kind, names = _target(kind, names)
    wanted = pairs("-l", selector)
    found, problems = _items(kind)
    items = [
        each
        for each in found
        if (all_namespaces or each["metadata"]["namespace"] == namespace)
        and all((each["metadata"].get("labels") or {}).get(k) == v for k, v in wanted.items())
    ]
    missing = _missing(names, items)
    if names:
        items = [each for each in items if _name(each) in names]
    _print(items, output, kind, single=len(names) == 1, namespaced=all_namespaces)
    for problem in problems:
        if problem.severity is Severity.ERROR:
            warn(str(problem))
    for name in missing:
        warn(f"error: {_not_found(kind, name, namespace)}")
    if not items and not names and not output:
        warn(f"No resources found in {namespace} namespace.")
    if missing:
        sys.exit(1)


@click.command("describe")
@click.argument("kind")
@click.argument("names", nargs=-1)
@namespace_option
def describe_command(kind: str, names: tuple[str, ...], namespace: str) -> None:
    """Show resources in full, and on standard error what is wrong with manifests in the store."""
    kind, names = _target(kind, names)
    found, problems = _items(kind)
    items = [each for each in found if each["metadata"]["namespace"] == namespace]
    for problem in problems:
        warn(str(problem))
    if missing := _missing(names, items):
        raise NotFoundError("\n".join(_not_found(kind, name, namespace) for name in missing))
    say("\n\n".join(_describe(each) for each in items if not names or _name(each) in names))


def _target(kind: str, names: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Read `KIND NAME...` or `KIND/NAME...`, and return the kind's plural and the names."""
    if "/" not in kind:
        return _plural(kind), names
    named = [each.partition("/") for each in (kind, *names)]
    if len({_plural(each) if slash else "" for each, slash, _ in named}) > 1:
        raise UsageError("expected KIND NAME..., or KIND/NAME... of one kind")
    return _plural(named[0][0]), tuple(name for _, _, name in named)


def _plural(kind: str) -> str:
    if kind.lower() in PODS:
        return "pods"
    if kind.lower() in KINDS:
        return KINDS[kind.lower()] + "s"
    raise UsageError(f"{kind!r} is not a kind that Outgate keeps", hint="services, pods")


def _missing(names: tuple[str, ...], items: list[dict[str, Any]]) -> list[str]:
    there = {_name(each) for each in items}
    return [name for name in dict.fromkeys(names) if name not in there]


def _not_found(plural: str, name: str, namespace: str) -> str:
    return f'{plural} "{name}" not found in namespace "{namespace}"'


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


def _items(plural: str) -> tuple[list[dict[str, Any]], tuple[Problem, ...]]:
    """Return what there is of a kind, and what is wrong with manifests that are therefore left out."""
    if plural == "pods":
        return [each["manifest"] for each in client().call("pods")], ()
    documents, problems = files.valid(store().load(), "default")
    found = [dict(each.value) for each in documents]
    for each in found:
        metadata = each["metadata"]
        each["metadata"] = metadata | {"namespace": metadata.get("namespace") or "default"}
    return sorted(found, key=lambda each: (each["metadata"]["namespace"], _name(each))), problems


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
    row = _pod_row if kind == "pods" else _service_row
    rows = [row(each, wide=wide) for each in items]
    if namespaced:
        for each, item in zip(rows, items, strict=True):
            each.insert(0, ("NAMESPACE", item["metadata"]["namespace"]))
    table([[title for title, _ in rows[0]], *([value for _, value in each] for each in rows)])


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
    return age((datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds())
