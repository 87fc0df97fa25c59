"""The CRDs of our own kinds, from the same declaration as their parser: an API server refuses what that refuses.

Structural schemas; where a rule spans fields, or a pattern alone would not say what to write instead, it is CEL.
"""

import functools
import re
from collections.abc import Callable, Iterable
from typing import Any

from outgate.kube.objects import PART, Manifest
from outgate.resources.native import egress_policy, external_service
from outgate.resources.native.objects import GROUP, VERSION, Column, Kind
from outgate.resources.reading import DURATION, QUANTITY
from outgate.resources.schemas import (
    Choice,
    Duration,
    Field,
    Fields,
    Flag,
    Form,
    Items,
    Number,
    Pairs,
    Rule,
    Schema,
    Size,
    Text,
)

Json = dict[str, Any]
KINDS = (external_service.KIND, egress_policy.KIND)
_KEPT = {"helm.sh/resource-policy": "keep"}
"""Else `helm uninstall` would delete all resources of these kinds, which are the users'."""
_CATEGORY = "outgate"
_LONGEST_DURATION, _LONGEST_SIZE = 32, 17


@functools.cache
def crds() -> tuple[Manifest, ...]:
    """Return both CRDs, which are always the same; nobody may change them."""
    return tuple(crd(each) for each in KINDS)


def crd(kind: Kind) -> Manifest:
    """Return the CRD of a kind."""
    names = {
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": kind.name.lower(),
        "shortNames": list(kind.short),
        "categories": [_CATEGORY],
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(*each) for each in (*kind.columns, *_COLUMNS)],
        "schema": {"openAPIV3Schema": _root(kind)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}", "labels": dict(PART), "annotations": _KEPT},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


_COLUMNS: tuple[Column, ...] = (
    ("Accepted", '.status.conditions[?(@.type=="Accepted")].status', 1),
    ("Programmed", '.status.conditions[?(@.type=="Programmed")].status', 0),
    ("Age", ".metadata.creationTimestamp", 0),
)


def _column(title: str, path: str, priority: int) -> Json:
    kind = "date" if title == "Age" else "string"
    column = {"name": title, "type": kind, "jsonPath": path}
    # Of a list, an API server shows one only.
    first = {"description": "The first of them."} if "[0]" in path else {}
    return column | first | ({"priority": priority} if priority else {})


def _root(kind: Kind) -> Json:
    properties = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": schema(kind.spec) | {"description": "What is wanted."},
        "status": _STATUS,
    }
    return {
        "type": "object",
        "description": kind.doc,
        "required": ["spec"],
        "properties": properties,
    }


_TEXT = {"type": "string"}
_GENERATION = {"type": "integer", "format": "int64", "minimum": 0}
_CONDITION = {
    "type": "object",
    "required": ["type", "status", "reason", "message", "lastTransitionTime"],
    "properties": {
        "type": _TEXT | {"maxLength": 316},
        "status": _TEXT | {"enum": ["True", "False", "Unknown"]},
        "reason": _TEXT | {"minLength": 1, "maxLength": 1024},
        "message": _TEXT | {"maxLength": 32768},
        "observedGeneration": _GENERATION,
        "lastTransitionTime": _TEXT | {"format": "date-time"},
    },
}
_STATUS = {
    "type": "object",
    "description": "What has become of it.",
    "properties": {
        "observedGeneration": _GENERATION | {"description": "The generation that this is about."},
        "conditions": {
            "type": "array",
            "description": "Accepted: it is valid, and counts. Programmed: egress Envoys have it.",
            "maxItems": 8,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
            "items": _CONDITION,
        },
    },
}


def schema(of: Schema) -> Json:
    """Return a schema as OpenAPI v3 has it, with Kubernetes' extensions."""
    return _SCHEMAS[type(of)](of)


def _choice(of: Choice) -> Json:
    return {"type": "string", "enum": list(of.values)}


def _number(of: Number) -> Json:
    kind = {"type": "integer", "format": "int64"} if of.whole else {"type": "number"}
    return kind | {"minimum": of.least, "maximum": of.most}


def _duration(of: Duration) -> Json:
    least = f"duration(self) >= duration('{of.least}')"
    message = f"is too short: at least {of.least} is needed"
    found: Json = {"type": "string", "pattern": f"^{DURATION}$", "maxLength": _LONGEST_DURATION}
    return found | _validations([] if of.least == "0s" else [_check(least, message)])


def _size(of: Size) -> Json:
    return {
        "x-kubernetes-int-or-string": True,
        # Exactly this is what a structural schema may have here.
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "pattern": f"^{QUANTITY}$",
        "maxLength": _LONGEST_SIZE,
    } | _validations(_size_checks(of))


def _pairs(of: Pairs) -> Json:
    keys = [
        _check(f"self.all(key, {expression})", f"a key {message}")
        for expression, message in _keys(of.keys)
    ]
    found = {"type": "object", "additionalProperties": _text(of.values), "maxProperties": of.most}
    return found | _validations(keys)


def _size_checks(of: Size) -> list[Json]:
    bounds = f"quantity(string(self)).compareTo(quantity('{of.most}')) <= 0"
    least = f"quantity(string(self)).compareTo(quantity('{of.least}')) >= 0"
    return [_check(f"{bounds} && {least}", f"from {of.least} to {of.most} bytes are allowed")]


def _keys(form: Form) -> Iterable[tuple[str, str]]:
    if form.pattern:
        yield f"key.matches('{_quoted(form.pattern)}')", f"is not a {form.says}"
    for expression, message in form.checks:
        yield re.sub(r"\bself\b", "key", expression), message


def _quoted(pattern: str) -> str:
    return pattern.replace("\\", "\\\\").replace("'", "\\'")


def _text(of: Text) -> Json:
    found: Json = {"type": "string", "maxLength": of.form.longest if of.form else of.longest}
    if not of.empty:
        found["minLength"] = 1
    if of.form is None:
        return found
    if of.form.pattern:
        found["pattern"] = of.form.pattern
    return found | _validations([_check(*each) for each in of.form.checks])


def _items(of: Items) -> Json:
    found: Json = {"type": "array", "maxItems": of.most, "items": schema(of.of)}
    if of.least:
        found["minItems"] = of.least
    if of.key == ".":
        found["x-kubernetes-list-type"] = "set"
    elif of.key:
        found |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [of.key]}
    else:
        found["x-kubernetes-list-type"] = "atomic"
    folded = "self.all(a, self.exists_one(b, a.lowerAscii() == b.lowerAscii()))"
    return found | _validations(
        [_check(folded, "two are the same but for case")] if of.folds else []
    )


def _fields(of: Fields) -> Json:
    known = [each for each in of.fields if not each.local]
    found: Json = {"type": "object", "properties": {each.name: _field(each) for each in known}}
    if required := [each.name for each in known if each.required]:
        found["required"] = required
    names = {each.name for each in of.fields} - {each.name for each in known}
    return found | _validations(
        [_spanning(each, names) for each in of.rules if _applies(each, names)]
    )


def _field(of: Field) -> Json:
    found = {"description": of.doc} | schema(of.schema)
    return found if of.default is None else found | {"default": of.default}


def _applies(rule: Rule, local: set[str]) -> bool:
    return rule.field not in local


def _spanning(rule: Rule, local: set[str]) -> Json:
    expression, message = rule.cel, rule.text
    for name in local:
        expression = expression.replace(f"has(self.{name})", "false")
    found = _check(expression, message)
    return found | ({"fieldPath": f".{rule.field}"} if rule.field else {})


def _check(expression: str, message: str) -> Json:
    return {"rule": expression, "message": message}


def _validations(checks: list[Json]) -> Json:
    return {"x-kubernetes-validations": checks} if checks else {}


_SCHEMAS: dict[type, Callable[[Any], Json]] = {
    Text: _text,
    Choice: _choice,
    Number: _number,
    Flag: lambda _: {"type": "boolean"},
    Duration: _duration,
    Size: _size,
    Items: _items,
    Pairs: _pairs,
    Fields: _fields,
}
