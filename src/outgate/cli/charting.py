"""The Helm chart's values, from the flags of `outgate install` themselves: a flag that is added is a value at once."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

import click

from outgate.cli.choices import made
from outgate.kube.helm import chart as helm
from outgate.kube.helm.values import Value
from outgate.kube.manifests import manifests
from outgate.settings import PREFIX, Settings

NOT_VALUES = ("helm", "uninstall", "dry_run", "kubeconfig", "context")
"""Flags that say what is done, rather than what is installed."""
_RANGE = "192.0.2.254/32"
_CIDR = r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)(/[0-9]{1,3})?$"
# Nothing that ends the quotes it stands in.
_TEXT = r'^[^"\\\x00-\x1f]*$'
# What such a value has to look like, for Kubernetes.
_TEXTS = {
    "hub": r"^([0-9A-Za-z][0-9A-Za-z.-]*(:[0-9]{1,5})?(/[0-9a-z]+([._-]+[0-9a-z]+)*)*)?$",
    "trust_domain": r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$",
    "tag": r"^[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}$",
}


def chart(options: Iterable[click.Parameter], flags: Mapping[str, Any]) -> dict[str, str]:
    """Return the chart's files; the flags are its values' defaults, as `outgate.cli.choices.made` takes them."""
    return helm.files(list(values(options, flags)), lambda chosen: manifests(made(chosen)))


def values(options: Iterable[click.Parameter], flags: Mapping[str, Any]) -> Iterator[Value]:
    """Yield a value for each flag."""
    for number, each in enumerate(options):
        if not isinstance(each, click.Option) or each.name in NOT_VALUES:
            continue
        match each.name:
            case "settings":
                yield _settings(dict(flags["settings"]))
            case "cluster_ranges":
                yield _ranges(each, flags["cluster_ranges"])
            case "ca_file":
                yield _bundle(flags["ca_bundle"])
            case _:
                yield _value(each, flags[str(each.name)], number)


def _value(option: click.Option, default: Any, number: int) -> Value:
    flag, name, comment = str(option.name), _name(option), option.help or ""
    schema: dict[str, Any]
    samples: tuple[Any, ...]
    match option.type:
        case click.types.BoolParamType():
            schema, samples = {"type": "boolean"}, (False, True)
        case click.Choice(choices=choices):
            schema, samples = {"type": "string", "enum": list(choices)}, tuple(choices)
            comment = comment or f"One of {', '.join(choices)}."
        case click.types.IntParamType():
            schema, samples = {"type": "integer"}, (7_300_000 + number,)
            for key, bound in (
                ("minimum", getattr(option.type, "min", None)),
                ("maximum", getattr(option.type, "max", None)),
            ):
                schema |= {} if bound is None else {key: bound}
        case _:
            schema = {"type": "string", "pattern": _TEXTS.get(flag, _TEXT)}
            sample = f"{name.lower()}.sample.invalid"
            samples = (sample,) if option.default else ("", sample)
    schema["description"] = comment
    return Value(name, flag, comment, default, schema, samples)


def _name(option: click.Option) -> str:
    """Return `imagePullPolicy` for `--image-pull-policy`, and for Istio's own spelling."""
    return re.sub("-(.)", lambda found: found[1].upper(), option.opts[0].lstrip("-"))


def _ranges(option: click.Option, default: str) -> Value:
    comment = "Ranges of Services and pods, as CIDRs; empty: those that the cluster names."
    items = {"type": "string", "pattern": _CIDR}
    schema = {"type": "array", "items": items, "description": comment}
    given = [each.strip() for each in default.split(",") if each.strip()]
    return Value(_name(option), "cluster_ranges", comment, given, schema, ("", _RANGE))


def _bundle(default: str) -> Value:
    comment = (
        "CA bundle (PEM) that upstream certificates must chain to; empty: the public ones. "
        "Set it from a file: --set-file caBundle=FILE."
    )
    schema = {"type": "string", "pattern": "^$|-----BEGIN CERTIFICATE-----", "description": comment}
    return Value("caBundle", "ca_bundle", comment, default, schema, ("", "bundle.sample.invalid"))


def _settings(chosen: Mapping[str, str]) -> Value:
    comment = "Settings of the controller, as NAME: VALUE; docs/settings.md explains them."
    heeded = {PREFIX + each.name.upper(): each for each in fields(Settings)}
    heeded = {name: each for name, each in heeded.items() if each.metadata["cluster"] is True}
    known = {
        name: each.metadata["schema"] | {"description": each.metadata["doc"]}
        for name, each in heeded.items()
    }
    numbers = {name for name, each in known.items() if "minimum" in each}
    default = {
        name: heeded[name].metadata["parse"](text) if name in numbers else text
        for name, text in chosen.items()
    }
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": known,
        "description": comment,
    }
    name, value = "NAME_OF_SAMPLE", "value-of-sample"
    # Numbers as JSON has them: Helm alone would write a large one with an exponent.
    text = '{{ ternary $value (toJson $value) (kindIs "string" $value) | quote }}'
    loop = ((name, "{{ $name }}"), (value, text))
    return Value("settings", "settings", comment, default, schema, ((), ((name, value),)), loop)
