"""What `outgate install` prints, as values."""

from typing import Any

import yaml
from click.testing import CliRunner

from outgate.cli.main import cli


def install(*words: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(cli, ["install", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return list(yaml.safe_load_all(result.stdout))


def one(found: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (each,) = (x for x in found if x["kind"] == kind and x["metadata"]["name"] == name)
    return each
