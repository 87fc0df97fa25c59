import json
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from tests.unit.cli.calling import call

from outgate.errors import UsageError

GOOD = """
apiVersion: v1
kind: Service
metadata: {name: externalbin}
spec: {type: ExternalName, externalName: httpbin.org, ports: [{port: 80, name: http}]}
"""
BAD = """
---
apiVersion: v1
kind: Service
metadata: {name: bad}
spec:
  type: ExternalName
  externalName: x.example.com
  ports: [{port: 0}]
"""
STRANGE = """
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: settings}
"""


def given(*words: str, text: str = GOOD) -> Result:
    return call(*words, text=text)


def test_xds_is_the_default_and_names_no_secret() -> None:
    result = given("translate", "-f", "-")
    assert result.exit_code == 0
    shown = yaml.safe_load(result.stdout)["egress"]
    assert {"clusters", "filters", "listeners", "scoped_routes"} == set(shown)
    assert "http|externalbin.default|80" in [each["name"] for each in shown["clusters"]]
    assert "pod|sleep.default|capture" in [each["name"] for each in shown["listeners"]]
    assert "private_key" not in result.stdout


def test_it_prints_the_same_each_time_in_both_forms() -> None:
    first = given("translate", "-f", "-")
    assert given("translate", "-f", "-").stdout == first.stdout
    as_json = json.loads(given("translate", "-f", "-", "-o", "json").stdout)
    assert as_json == yaml.safe_load(first.stdout)


def test_a_sidecar() -> None:
    shown = yaml.safe_load(given("translate", "-f", "-", "--capture", "sidecar").stdout)
    assert [each["name"] for each in shown["sidecar"]["listeners"]] == [
        *("capture", "capture-ip6", "raw", "raw-ip6")
    ]
    names = [each["name"] for each in shown["egress"]["listeners"]]
    assert [each for each in names if each.startswith("pod|")] == ["pod|sleep.default|dns"]


def test_the_namespace_of_what_names_none_and_of_the_workload() -> None:
    shown = yaml.safe_load(given("translate", "-f", "-", "-n", "blue").stdout)["egress"]
    assert "http|externalbin.blue|80" in [each["name"] for each in shown["clusters"]]
    assert "pod|sleep.blue|capture" in [each["name"] for each in shown["listeners"]]


def test_the_model() -> None:
    shown = yaml.safe_load(given("translate", "-f", "-", "--stage", "model").stdout)
    (only,) = shown["destinations"]
    assert (only["name"], only["external"]) == ("externalbin", "httpbin.org")


def test_firewall_rules_need_no_manifest() -> None:
    flags = ("--stage", "firewall", "--includeIPRanges", "10.0.0.1/24")
    assert "ip daddr { 10.0.0.0/24, 240.240.0.0/16 }" in given("translate", *flags).stdout
    text = given("translate", *flags, "--format", "iptables").stdout
    assert "-d 10.0.0.0/24 -p tcp -j REDIRECT" in text


def test_what_is_good_is_printed_though_something_is_not() -> None:
    result = given("translate", "-f", "-", "--stage", "model", text=GOOD + BAD)
    assert result.exit_code == 1
    assert [each["name"] for each in yaml.safe_load(result.stdout)["destinations"]] == [
        "externalbin"
    ]
    assert "-:14: error: service/bad: spec.ports[0].port: " in result.stderr


def test_used_wrongly() -> None:
    assert isinstance(given("translate").exception, UsageError)
    assert isinstance(given("analyze").exception, UsageError)
    assert isinstance(given("analyze", "-f", "-", text="").exception, UsageError)
    assert isinstance(
        given("translate", "--stage", "firewall", "--includeIPRanges", "x").exception, UsageError
    )


class TestAnalyze:
    def test_nothing_wrong(self) -> None:
        result = given("analyze", "-f", "-")
        assert (result.exit_code, result.stdout) == (0, "no problems found in 1 document\n")

    def test_an_error_has_file_line_field_and_hint(self, tmp_path: Path) -> None:
        file = tmp_path / "f.yaml"
        file.write_text(GOOD + BAD)
        result = given("analyze", "-f", str(file))
        assert result.exit_code == 1
        (line,) = result.stdout.splitlines()
        assert line.startswith(f"{file}:14: error: service/bad: spec.ports[0].port: ")

    def test_a_warning_alone_is_no_failure(self) -> None:
        result = given("analyze", "-f", "-", text=GOOD + STRANGE)
        assert result.exit_code == 0
        assert "warning" in result.stdout

    def test_two_files_with_one_service(self, tmp_path: Path) -> None:
        for name in ("1.yaml", "2.yaml"):
            (tmp_path / name).write_text(GOOD)
        result = given("analyze", "-f", str(tmp_path))
        assert result.exit_code == 1
        assert "already at" in result.stdout

    @pytest.mark.parametrize(("text", "status"), [(GOOD, 0), (GOOD + STRANGE, 0), (GOOD + BAD, 1)])
    def test_json(self, text: str, status: int) -> None:
        result = given("analyze", "-f", "-", "-o", "json", text=text)
        assert result.exit_code == status
        for each in json.loads(result.stdout):
            assert set(each) == {"file", "line", "severity", "resource", "path", "message", "hint"}
        assert bool(json.loads(result.stdout)) == (text != GOOD)


def test_analyze_shows_what_is_wrong_with_resources_together() -> None:
    text = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: team}
spec:
  hosts: [api.example.com]
  http: [{route: [{destination: {host: lost.example.com}}]}]
"""
    result = given("analyze", "-f", "-", text=text)
    assert result.exit_code == 0
    assert "spec.hosts[0]: nothing declares api.example.com for callers of this" in result.output
    assert "spec.hosts[0]: leads to lost.example.com, which nothing declares" in result.output
