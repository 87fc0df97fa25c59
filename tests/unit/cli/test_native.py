"""Our own kinds with kubectl's commands, without a mesh that is up."""

import json
from pathlib import Path

import pytest
from tests.unit.cli.calling import call, out

from outgate.errors import NotFoundError, UsageError

MANIFEST = """
apiVersion: outgate.dev/v1alpha1
kind: ExternalService
metadata: {name: github.v3, labels: {app: hub}}
spec:
  hosts: [api.github.com, "*.githubusercontent.com", a.example.com, b.example.com]
  ports: [{port: 443, protocol: HTTPS}, {port: 22, protocol: TLS}]
---
apiVersion: outgate.dev/v1alpha1
kind: EgressPolicy
metadata: {name: readers}
spec: {subject: {podSelector: {matchLabels: {app: sleep}}, serviceAccounts: [builder]}, rules: [{}]}
"""


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("run", "state", "log"):
        monkeypatch.setenv(f"OUTGATE_{name.upper()}_DIR", str(tmp_path / name))
    file = tmp_path / "f.yaml"
    file.write_text(MANIFEST)
    assert out("apply", "-f", str(file)) == (
        "externalservice.outgate.dev/github.v3 created\negresspolicy.outgate.dev/readers created\n"
    )


@pytest.mark.parametrize(
    "word", ["externalservices", "externalservice", "extsvc", "ExternalServices.outgate.dev"]
)
def test_the_table(word: str) -> None:
    titles, row = out("get", word).splitlines()
    assert titles.split() == ["NAME", "HOSTS", "PORTS", "PROGRAMMED", "AGE"]
    hosts = "api.github.com,*.githubusercontent.com,a.example.com + 1 more"
    assert hosts in row
    assert "443/HTTPS,22/TLS" in row
    # No mesh is up, so nobody knows.
    assert "Unknown" in row


def test_a_policys_table() -> None:
    titles, row = out("get", "egp", "-o", "wide").splitlines()
    assert titles.split() == ["NAME", "MODE", "PROGRAMMED", "AGE", "SUBJECT", "RULES"]
    assert row.split()[:2] == ["readers", "Enforce"]
    assert row.split()[-2:] == ["app=sleep,serviceaccount=builder", "1"]


def test_each_kind_is_listed_on_its_own() -> None:
    assert out("get", "extsvc", "-o", "name") == "externalservice.outgate.dev/github.v3\n"
    assert out("get", "egresspolicies", "-o", "name") == "egresspolicy.outgate.dev/readers\n"
    assert "No resources found" in call("get", "services").stderr
    (item,) = json.loads(out("get", "extsvc", "-l", "app=hub", "-o", "json"))["items"]
    assert item["spec"]["hosts"][0] == "api.github.com"


def test_describe() -> None:
    text = out("describe", "extsvc/github.v3")
    assert "Name:           github.v3" in text
    assert "Programmed:     Unknown" in text
    assert "Spec:\n  hosts:\n  - api.github.com" in text
    error = call("describe", "egp", "none").exception
    assert isinstance(error, NotFoundError)
    assert str(error) == 'egresspolicies "none" not found in namespace "default"'


def test_a_name_with_dots_is_found_again() -> None:
    again = call("apply", "-f", "-", text=MANIFEST)
    assert again.stdout == (
        "externalservice.outgate.dev/github.v3 unchanged\negresspolicy.outgate.dev/readers unchanged\n"
    )
    assert out("delete", "extsvc", "github.v3") == (
        'externalservice.outgate.dev "github.v3" deleted\n'
    )
    assert out("get", "extsvc", "-o", "name") == ""


def test_an_unknown_kind_says_which_there_are() -> None:
    error = call("get", "es").exception
    assert isinstance(error, UsageError)
    assert "externalservices" in str(error.hint)


def test_a_secret_is_not_described() -> None:
    text = "{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {token: hidden}}"
    assert call("apply", "-f", "-", text=text).exit_code == 0
    described = out("describe", "secret", "a")
    assert "token: <secret>" in described
    assert "hidden" not in described
