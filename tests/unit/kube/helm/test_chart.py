"""The chart follows from what `outgate install` has; that Helm agrees, tests/cluster/test_chart.py shows."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from outgate.cli.charting import NOT_VALUES
from outgate.cli.installing import install_command
from outgate.cli.main import cli
from outgate.errors import HostError


def made(folder: Path, *words: str) -> dict[str, str]:
    command = ["install", "--helm", str(folder), *words]
    result = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return {str(x.relative_to(folder)): x.read_text() for x in folder.rglob("*") if x.is_file()}


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return made(tmp_path_factory.mktemp("chart"))


def test_each_flag_is_a_value(chart: dict[str, str]) -> None:
    found: dict[str, Any] = yaml.safe_load(chart["values.yaml"])
    schema = json.loads(chart["values.schema.json"])
    flags = [each for each in install_command.params if each.name not in NOT_VALUES]
    assert len(found) == len(flags) > 7
    assert schema["properties"].keys() - {"global"} == found.keys()
    templates = "".join(text for name, text in chart.items() if name.startswith("templates/"))
    for name in found:
        # One that changes nothing would be one that does nothing.
        assert f".Values.{name}" in templates, name
    for each in flags:
        assert isinstance(each, click.Option)
    # Each has a line that says what it is for.
    assert chart["values.yaml"].count("\n# ") >= len(found)


def test_nothing_is_left_of_what_it_was_made_with(chart: dict[str, str]) -> None:
    for text in chart.values():
        for word in (".invalid", "SAMPLE", "sample", "7300", "192.0.2."):
            assert word not in text


def test_each_object_is_in_it(chart: dict[str, str]) -> None:
    objects = yaml.safe_load_all(CliRunner().invoke(cli, ["install"]).stdout)
    for each in objects:
        assert f"\nkind: {each['kind']}\n" in chart[f"templates/{each['kind'].lower()}.yaml"]


def test_flags_are_its_defaults(tmp_path: Path) -> None:
    words = ["--cluster-ranges=10.0.0.0/8", "--set=OUTGATE_IDLE_TIMEOUT=7", "--replicas=1"]
    found = yaml.safe_load(made(tmp_path, *words)["values.yaml"])
    assert found["clusterRanges"] == ["10.0.0.0/8"]
    assert found["settings"] == {"OUTGATE_IDLE_TIMEOUT": 7}
    assert found["replicas"] == 1


def test_a_folder_that_cannot_be_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(cli, ["install", "--helm", str(tmp_path / "file")])
    assert isinstance(result.exception, HostError)
    assert "--helm" in str(result.exception)
