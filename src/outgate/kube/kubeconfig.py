"""Reads kubeconfigs as kubectl does: several files in KUBECONFIG are one, and the first that names a thing wins.

lightkube reads one file, and takes the pod that it runs in for the cluster that is meant, whatever KUBECONFIG says.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError

DEFAULT = "~/.kube/config"
_LISTS = (("clusters", "cluster"), ("contexts", "context"), ("users", "user"))
_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


def load(named: str, context: str) -> SingleConfig:
    """Return what files say, with colons between them, of a context; empty: the current one. ConfigError, OSError."""
    paths = [Path(each).expanduser() for each in named.split(os.pathsep) if each]
    # One that is not there counts for nothing, as long as there is another.
    found = [each for each in paths if each.exists()] or paths[:1]
    documents = [_document(each) for each in found]
    merged: dict[str, Any] = {"current-context": context or _first(documents, "current-context")}
    for group, key in _LISTS:
        merged[group] = list(_merged(documents, group, key))
    if not merged["current-context"]:
        raise ConfigError(f"{named} has no current context")
    try:
        chosen = KubeConfig.from_dict(merged).get()
    except KeyError as error:
        raise ConfigError(f"{named} has no cluster or user {error}") from error
    except (msgspec.ValidationError, TypeError) as error:
        raise ConfigError(f"{named} is no kubeconfig: {error}") from error
    assert chosen is not None  # noqa: S101 - it has a name
    return chosen._replace(user=chosen.user or User())


def _document(path: Path) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no kubeconfig: it is not YAML") from error
    if not isinstance(found, Mapping):
        raise ConfigError(f"{path} is no kubeconfig")
    result = dict(found)
    for group, key in _LISTS:
        result[group] = list(_entries(path, found.get(group) or [], key))
    return result


def _entries(path: Path, listed: Any, key: str) -> Iterator[dict[str, Any]]:
    """Yield named entries; a file that one names is beside the kubeconfig."""
    for each in listed:
        value = each.get(key) if isinstance(each, Mapping) else None
        if not isinstance(value, Mapping) or not isinstance(each.get("name"), str):
            raise ConfigError(f"{path} is no kubeconfig: a {key} has no name, or no content")
        files = {name: str(path.parent / value[name]) for name in _FILES if value.get(name)}
        yield {"name": each["name"], key: {**value, **files}}


def _first(documents: list[Mapping[str, Any]], key: str) -> Any:
    return next((each[key] for each in documents if each.get(key)), None)


def _merged(documents: list[Mapping[str, Any]], group: str, key: str) -> Iterator[dict[str, Any]]:
    seen = set[str]()
    for document in documents:
        for each in document[group]:
            if each["name"] not in seen:
                seen.add(each["name"])
                yield {"name": each["name"], key: each[key]}
