"""Showing resources and pods, in kubectl's forms."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import click

from outgate.cli import files, rows
from outgate.cli.common import client, namespace_option, pairs, say, store, warn
from outgate.cli.programmed import (
    Told,
    about,
    conditions,
    programmed,
    told_by_the_mesh,
    with_statuses,
)
from outgate.cli.resources import kind_of
from outgate.cli.tables import table
from outgate.errors import NotFoundError, UsageError
from outgate.resources.kindnames import qualified
from outgate.resources.kinds import plural
from outgate.resources.problems import Problem, Severity

Item = Mapping[str, Any]
_HEAD = ("apiVersion", "kind", "metadata", "status")


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
        items = [each for each in items if rows.name(each) in names]
    if output not in ("", "wide", "name") and kind not in ("pod", "service"):
        items = with_statuses(items, kind)
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
    told = told_by_the_mesh() if kind not in ("pod", "service") else {}
    shown = [each for each in items if not names or rows.name(each) in names]
    if kind not in ("pod", "service"):
        shown = with_statuses(shown, kind)
    say("\n\n".join(_describe(each, told) for each in shown))


def _target(kind: str, names: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Read `KIND NAME...` or `KIND/NAME...`, and return the kind, in lower case, and the names."""
    if "/" not in kind:
        return kind_of(kind), names
    named = [each.partition("/") for each in (kind, *names)]
    if len({kind_of(each) if slash else "" for each, slash, _ in named}) > 1:
        raise UsageError("expected KIND NAME..., or KIND/NAME... of one kind")
    return kind_of(named[0][0]), tuple(name for _, _, name in named)


def _missing(names: tuple[str, ...], items: list[dict[str, Any]]) -> list[str]:
    there = {rows.name(each) for each in items}
    return [name for name in dict.fromkeys(names) if name not in there]


def _not_found(kind: str, name: str, namespace: str) -> str:
    return f'{plural(kind)} "{name}" not found in namespace "{namespace}"'


def _describe(item: Item, told: Told) -> str:
    metadata = item["metadata"]
    labels = metadata.get("labels") or {}
    lines = [
        ("Name", metadata["name"]),
        ("Namespace", metadata["namespace"]),
        ("Labels", ",".join(f"{key}={value}" for key, value in labels.items()) or "<none>"),
        ("Created", metadata.get("creationTimestamp", "<unknown>")),
    ]
    spec = item.get("spec") or {}
    if item["kind"] == "Service":
        lines.append(("Type", spec.get("type", "ClusterIP")))
        lines.append(("External Name", spec.get("externalName", "<none>")))
        lines += [("Port", _port(each)) for each in spec.get("ports") or ()]
    elif item["kind"] == "Pod":
        lines.append(("Identity", metadata["annotations"]["outgate.dev/identity"]))
        lines.append(("Capture", metadata["annotations"]["outgate.dev/capture"]))
        lines.append(("Status", item["status"]["phase"]))
        lines.append(("Command", " ".join(spec["containers"][0]["command"])))
    else:
        lines.append(("Programmed", programmed(item, told)))
        lines += [("Condition", each) for each in conditions(item)]
        lines += [("Problem", each["text"]) for each in about(item, told)]
    text = "\n".join(f"{name + ':':<16}{value}" for name, value in lines)
    return text if item["kind"] in ("Service", "Pod") else f"{text}\n{_body(item)}"


def _body(item: Item) -> str:
    from outgate.resources.writing import to_yaml  # noqa: PLC0415 - only here

    said = {key.capitalize(): item[key] for key in item if key not in _HEAD}
    if item["kind"] == "Secret":
        # As kubectl has it: what is secret is not described.
        names = sorted({*(item.get("data") or {}), *(item.get("stringData") or {})})
        said = {"Data": dict.fromkeys(names, "<secret>")}
    return to_yaml(said).rstrip("\n")


def _port(port: Item) -> str:
    return f"{port.get('name') or '<unset>'}  {port['port']}/{port.get('protocol', 'TCP')}"


def _items(kind: str) -> tuple[list[dict[str, Any]], tuple[Problem, ...]]:
    """Return what there is of a kind, and what is wrong with manifests that are therefore left out."""
    if kind == "pod":
        return [each["manifest"] for each in client().call("pods")], ()
    documents, problems = files.valid(store().load(), "default")
    found = [dict(each.value) for each in documents if each.value["kind"].lower() == kind]
    for each in found:
        metadata = each["metadata"]
        each["metadata"] = metadata | {"namespace": metadata.get("namespace") or "default"}
    return sorted(
        found, key=lambda each: (each["metadata"]["namespace"], rows.name(each))
    ), problems


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
            say(f"{qualified(kind)}/{rows.name(each)}")
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
    make = rows.ROWS.get(kind, rows.plain)
    told = told_by_the_mesh() if kind not in ("pod", "service") else {}
    found = [make(each, programmed(each, told), wide=wide) for each in items]
    if namespaced:
        for each, item in zip(found, items, strict=True):
            each.insert(0, ("NAMESPACE", item["metadata"]["namespace"]))
    table([[title for title, _ in found[0]], *([value for _, value in each] for each in found)])
