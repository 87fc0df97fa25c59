"""The files of the chart."""

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from outgate import __version__
from outgate.kube import naming
from outgate.kube.helm.templates import Writer
from outgate.kube.helm.values import Value, choices
from outgate.kube.helm.variants import Items, Merge, Part
from outgate.kube.objects import Manifest
from outgate.resources.writing import to_yaml

Render = Callable[[Mapping[str, Any]], list[Manifest]]
"""Returns the manifests that flags make; a flag's name is a Value's `flag`."""

OLDEST = (1, 30)
"""Kubernetes' version that all that is used is in."""
_OWN_NAMESPACE = f'ne .Release.Namespace "{naming.SYSTEM_NAMESPACE}"'


def files(values: Sequence[Value], render: Render) -> dict[str, str]:
    """Return the content of each file, by its path in the chart."""
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "additionalProperties": False,
        # Whoever has charts that contain this one may set what is for all of them.
        "properties": {"global": {"type": "object"}, **{each.name: each.schema for each in values}},
    }
    return {
        "Chart.yaml": to_yaml(_chart()),
        "values.yaml": "\n".join(_values(values)),
        "values.schema.json": json.dumps(schema, indent=2) + "\n",
        "templates/NOTES.txt": _NOTES,
        **_templates(values, render),
    }


def _chart() -> Manifest:
    return {
        "apiVersion": "v2",
        "name": "outgate",
        "description": "Egress control for services, with Envoy as its data plane",
        "type": "application",
        "version": __version__,
        "appVersion": __version__,
        "kubeVersion": f">={OLDEST[0]}.{OLDEST[1]}.0-0",
    }


def _values(values: Sequence[Value]) -> Iterator[str]:
    yield "# Each is a flag of `outgate install`. values.schema.json says what is allowed."
    for each in values:
        yield ""
        yield from (f"# {line}" for line in textwrap.wrap(each.comment, 100))
        text = to_yaml({each.name: each.default}).rstrip("\n")
        yield text
    yield ""


def _templates(values: Sequence[Value], render: Render) -> dict[str, str]:
    every = choices(values)
    variants = {
        number: render({value.flag: each for value, each in zip(values, chosen, strict=True)})
        for number, chosen in enumerate(every)
    }
    merged = Merge(values, every).merged(variants)
    assert isinstance(merged, Items)  # noqa: S101 - manifests are a list
    writer, found = Writer(values), dict[str, list[str]]()
    for part in merged.parts:
        kind = next(each.node for each in part.node.parts if each.key == "kind")
        found.setdefault(kind, []).append(_conditional(part, kind, writer.document(part.node)))
    return {f"templates/{kind.lower()}.yaml": "---\n".join(each) for kind, each in found.items()}


def _conditional(part: Part, kind: str, text: str) -> str:
    """Return a manifest that is there under its condition; Helm makes the namespace itself if it installs into that."""
    asked = [part.condition] if part.condition else []
    if kind == "Namespace":
        asked.append(_OWN_NAMESPACE)
    for each in asked:
        text = f"{{{{- if {each} }}}}\n{text}{{{{- end }}}}\n"
    return text


_LABELS = "app.kubernetes.io/part-of=outgate pod-security.kubernetes.io/enforce=restricted"
_NOTES = f"""\
Outgate {{{{ .Chart.AppVersion }}}} is being started in namespace {naming.SYSTEM_NAMESPACE}.

  kubectl rollout status -n {naming.SYSTEM_NAMESPACE} deployment/{naming.CONTROLLER}
  kubectl rollout status -n {naming.SYSTEM_NAMESPACE} deployment/{naming.EGRESS}
  outgate check

Capture the pods of a namespace, those that are made from now on:

  kubectl label namespace NAMESPACE {naming.INJECT_LABEL}={naming.INJECT_ENABLED}

Declare what they may call, as Services of type ExternalName or as ExternalServices.
{{{{- if eq .Release.Namespace "{naming.SYSTEM_NAMESPACE}" }}}}

Helm has made the namespace, without what `outgate install` gives it:

  kubectl label namespace {naming.SYSTEM_NAMESPACE} {_LABELS}
{{{{- end }}}}
"""
