import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.cli.calling import call, out

from outgate.errors import NotFoundError, UsageError

MANIFEST = """
apiVersion: v1
kind: Service
metadata: {name: externalbin, labels: {app: bin}}
spec: {type: ExternalName, externalName: httpbin.org, ports: [{port: 80, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: blue, labels: {tier: "y"}}
spec: {selector: {app: web}, ports: [{port: 80, name: http}, {port: 53, protocol: UDP, name: dns}]}
"""


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("run", "state", "log"):
        monkeypatch.setenv(f"OUTGATE_{name.upper()}_DIR", str(tmp_path / name))
    file = tmp_path / "f.yaml"
    file.write_text(MANIFEST)
    result = call("apply", "-f", str(file))
    assert result.stdout == "service/externalbin created\nservice/web created\n"


def test_the_table_is_kubectls() -> None:
    titles, row = out("get", "services").splitlines()
    assert titles.split() == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert row.split()[:-1] == ["externalbin", "ExternalName", "<none>", "httpbin.org", "80/TCP"]
    assert titles.index("TYPE") == row.index("ExternalName")
    assert titles == titles.rstrip()


def test_all_namespaces_and_wide() -> None:
    titles, first, second = out("get", "svc", "-A", "-o", "wide").splitlines()
    assert titles.split()[0] == "NAMESPACE"
    assert titles.split()[-1] == "SELECTOR"
    assert first.split()[:2] == ["blue", "web"]
    assert first.split()[-1] == "app=web"
    assert "80/TCP,53/UDP" in first
    assert second.split()[:2] == ["default", "externalbin"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["get", "services"], ["externalbin"]),
        (["get", "service", "externalbin"], ["externalbin"]),
        (["get", "service/externalbin"], ["externalbin"]),
        (["get", "services", "-n", "blue"], ["web"]),
        (["get", "services", "-l", "app=bin"], ["externalbin"]),
        (["get", "services", "-A", "-l", "app=bin,tier=y"], []),
    ],
)
def test_what_is_chosen(words: list[str], names: list[str]) -> None:
    expected = "".join(f"service/{name}\n" for name in names)
    assert out(*words, "-o", "name") == expected


def test_one_by_name_is_itself_and_several_are_a_list() -> None:
    assert json.loads(out("get", "service", "externalbin", "-o", "json"))["kind"] == "Service"
    found = json.loads(out("get", "services", "-o", "json"))
    assert found["kind"] == "List"
    assert [each["metadata"]["name"] for each in found["items"]] == ["externalbin"]
    assert out("get", "services", "-o", "jsonpath={.items..metadata.name}") == "externalbin"


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_what_is_printed_can_be_applied_again(form: str, tmp_path: Path) -> None:
    file = tmp_path / f"again.{form}"
    file.write_text(out("get", "services", "-A", "-o", form))
    assert out("apply", "-f", str(file)) == "service/web unchanged\nservice/externalbin unchanged\n"
    assert len(yaml.safe_load(file.read_text())["items"]) == 2


def test_one_that_is_wrong_is_not_written_whatever_stands_on_its_line(tmp_path: Path) -> None:
    """JSON is often a single line, so a line does not say which document is meant."""
    items = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"type": "ExternalName", "externalName": host, "ports": [{"port": 80}]},
        }
        for name, host in (("bad", "192.0.2.1"), ("good", "good.example.com"))
    ]
    file = tmp_path / "list.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    result = call("apply", "-f", str(file))
    assert (result.exit_code, result.stdout) == (1, "service/good created\n")
    assert "service/bad: spec.externalName" in result.stderr
    assert "bad" not in out("get", "services", "-o", "name").replace("externalbin", "")


def test_what_is_not_there() -> None:
    result = call("get", "service", "none", "externalbin")
    assert result.exit_code == 1
    assert 'error: services "none" not found in namespace "default"' in result.stderr
    assert "externalbin" in result.stdout
    result = call("get", "services", "-n", "empty")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "No resources found in empty namespace.\n"


def test_used_wrongly() -> None:
    assert isinstance(call("get", "gateways").exception, UsageError)
    assert isinstance(call("get", "services", "-o", "xml").exception, UsageError)
    assert isinstance(call("get", "svc/externalbin", "pod/web").exception, UsageError)
    assert isinstance(call("get", "svc/externalbin", "web").exception, UsageError)


def test_describe_names_what_is_missing_and_not_what_is_there() -> None:
    error = call("describe", "svc", "externalbin", "none", "no").exception
    assert isinstance(error, NotFoundError)
    assert str(error).splitlines() == [
        'services "none" not found in namespace "default"',
        'services "no" not found in namespace "default"',
    ]


def test_a_manifest_edited_by_hand_may_be_wrong(tmp_path: Path) -> None:
    folder = tmp_path / "state/manifests"
    assert folder.is_dir()
    (folder / "mine.yaml").write_text(
        "{apiVersion: v1, kind: Service}\n---\napiVersion: v1\nkind: Service\n"
        "metadata: {name: mine, labels: null, namespace: null}\nspec: {ports: [{port: 80}]}\n"
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: typo}\nspec: {ports: [80]}\n"
    )
    for words in (["get", "svc"], ["get", "svc", "-l", "a=b"], ["describe", "svc"]):
        result = call(*words)
        assert result.exit_code == 0, result.exception
        assert f"{folder}/mine.yaml:1: error: service: metadata.name: is required" in result.stderr
        assert "service/typo: spec.ports[0]" in result.stderr
        assert "typo" not in result.stdout
    assert "Name:           mine" in out("describe", "svc", "mine")


def test_describe() -> None:
    text = out("describe", "service", "externalbin")
    assert "Name:           externalbin" in text
    assert "External Name:  httpbin.org" in text
    assert "http  80/TCP" in text


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "0s"), (119, "119s"), (120, "2m"), (7300, "2h"), (172800, "2d")]
)
def test_age(seconds: int, expected: str) -> None:
    from outgate.cli.rows import _age

    stamp = datetime.now(UTC) - timedelta(seconds=seconds)
    item: dict[str, Any] = {"metadata": {"creationTimestamp": stamp.isoformat()}}
    assert _age(item) == expected
