"""Writes values as YAML that kubectl, and we ourselves, read as the same values again.

PyYAML leaves `y` and `0o7` bare, which a reader of YAML 1.1 as in Kubernetes takes for a boolean and a number.
"""

from typing import Any

import yaml

from outgate.resources.scalars import resolve


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, None if _is_text(value) else "'")


def _is_text(value: str) -> bool:
    try:
        return isinstance(resolve(value, plain=True), str)
    except ValueError:
        return False


_Dumper.add_representer(str, _text)


def to_yaml(value: Any, *, sort_keys: bool = False) -> str:
    """Return JSON's types as one YAML document; a value that is used twice is written twice."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=sort_keys, width=100, allow_unicode=True)
    return text
