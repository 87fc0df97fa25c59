import json

import yaml
from click.testing import Result
from tests.unit.cli.calling import call

GOOD = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, labels: {team: a}}
spec:
  hosts: [api.example.com]
  location: MESH_INTERNAL
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
"""
ELSEWHERE = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api}
spec:
  hosts: [api.example.com]
  http: [{route: [{destination: {host: lost.example.com}}]}]
"""


def converted(*words: str, text: str = GOOD) -> Result:
    return call("convert", "-f", "-", *words, text=text)


def test_external_services_are_printed_and_warnings_stand_beside_them() -> None:
    result = converted("-n", "team")
    assert result.exit_code == 0
    document = yaml.safe_load(result.stdout)
    assert document["kind"] == "ExternalService"
    assert document["metadata"] == {"name": "api", "namespace": "team", "labels": {"team": "a"}}
    assert "spec.location" in result.stderr


def test_json_is_a_list_as_kubectl_has_it() -> None:
    result = converted("-o", "json")
    shown = json.loads(result.stdout)
    assert (shown["kind"], [each["kind"] for each in shown["items"]]) == (
        "List",
        ["ExternalService"],
    )


def test_what_cannot_be_said_fails() -> None:
    result = converted(text=GOOD + ELSEWHERE)
    assert result.exit_code == 1
    assert result.stdout.strip() == ""
    assert "a route to lost.example.com, which nothing declares" in result.stderr


def test_an_invalid_resource_fails() -> None:
    result = converted(text=GOOD.replace("protocol: HTTP", "protocol: HTPP"))
    assert result.exit_code == 1
    assert "did you mean HTTP?" in result.stderr
