"""A real API server has our kinds: it refuses what our own validation refuses, and says so of the same field."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lightkube import AsyncClient, KubeConfig

from outgate.kube import plain
from outgate.kube.crds import KINDS, crds
from outgate.resources.documents import Document
from outgate.resources.kinds import parse, plural
from outgate.resources.manifests import read
from outgate.resources.writing import to_yaml

CASES = Path(__file__).parents[1] / "golden/native"
DROPPED = {"null-tls", "null-to"}
"""An API server drops what is null before it looks; on one machine it is an error."""

Kubectl = Callable[..., str]


@pytest.fixture(scope="module")
def _kinds(cluster: Any) -> Iterator[None]:
    text = "---\n".join(to_yaml(each) for each in crds())
    names = [each["metadata"]["name"] for each in crds()]
    there = set(cluster.kubectl("get", "crd", "-o", "name").split())
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=text)
    for name in names:
        cluster.kubectl("wait", "--for=condition=Established", f"crd/{name}")
    yield
    ours = {f"customresourcedefinition.apiextensions.k8s.io/{each}" for each in names}
    if not ours & there:
        cluster.kubectl("delete", "crd", *names)


def documents(case: str) -> list[Document]:
    return list(read((CASES / case / "input.yaml").read_text(), case).documents)


async def refusals(cluster: Any, found: list[Document]) -> list[str]:
    """Return what the API server says to each, as it says to kubectl; empty where it would take it."""
    client = AsyncClient(KubeConfig.from_file(cluster.kubeconfig))
    said = []
    for each in found:
        path = f"/apis/outgate.dev/v1alpha1/namespaces/default/{plural(each.value['kind'])}"
        params = {"dryRun": "All", "fieldValidation": "Strict"}
        try:
            await plain.call(client, "POST", path, params=params, body=each.value)
            said.append("")
        except plain.ApiError as error:
            said.append(str(error))
    await client.close()
    return said


def is_about(said: str, path: str) -> bool:
    """Whether a message has a field's path, or that of the one around it, down to the first level below spec."""
    while path.count(".") > 1 or path.endswith("]"):
        if path in said:
            return True
        path = path.rpartition("[" if path.endswith("]") else ".")[0]
    return path in said


@pytest.mark.usefixtures("_kinds")
@pytest.mark.parametrize("case", sorted(each.name for each in CASES.iterdir()))
async def test_the_api_server_refuses_what_we_refuse(cluster: Any, case: str) -> None:
    found = documents(case)
    for document, said in zip(found, await refusals(cluster, found), strict=True):
        name = document.value["metadata"]["name"]
        problems = parse([document]).problems
        if not problems or name in DROPPED:
            assert said == "", name
            continue
        assert said, f"{name} is taken, and it should not be: {problems[0]}"
        assert is_about(said, problems[0].path), (name, said)


@pytest.mark.usefixtures("_kinds")
def test_defaults_columns_and_short_names(kubectl: Kubectl, namespace: str) -> None:
    first = documents("valid")[2]
    kubectl("apply", "-n", namespace, "-f", "-", text=json.dumps(first.value))
    kubectl("apply", "-n", namespace, "-f", "-", text=json.dumps(documents("valid")[6].value))
    titles, row = kubectl("get", "extsvc", "-n", namespace).splitlines()
    assert titles.split() == ["NAME", "HOSTS", "PORT", "PROGRAMMED", "AGE"]
    assert row.split()[:2] == ["wildcard", '["*.example.com","API.Example.org."]']
    assert "443" in row
    found = json.loads(kubectl("get", "egp", "everything", "-n", namespace, "-o", "json"))
    assert found["spec"]["rules"][1] == {"action": "Deny", "http": [{"methods": ["DELETE"]}]}
    everything = kubectl("get", "outgate", "-n", namespace, "-o", "name").split()
    assert sorted(everything) == [
        "egresspolicy.outgate.dev/everything",
        "externalservice.outgate.dev/wildcard",
    ]


@pytest.mark.usefixtures("_kinds")
def test_status_is_written_apart_from_the_spec(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", text=json.dumps(documents("valid")[1].value))
    condition = {
        "type": "Programmed", "status": "True", "reason": "Programmed", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
    }  # fmt: skip
    patch = {"status": {"observedGeneration": 1, "conditions": [condition]}}
    words = ("extsvc", "least", "-n", namespace, "--type=merge", "-p", json.dumps(patch))
    kubectl("patch", *words)
    assert "True" not in kubectl("get", "extsvc", "least", "-n", namespace)
    kubectl("patch", *words, "--subresource=status")
    assert "True" in kubectl("get", "extsvc", "least", "-n", namespace)


@pytest.mark.usefixtures("_kinds")
def test_explain(kubectl: Kubectl) -> None:
    for kind in KINDS:
        assert kind.doc in " ".join(kubectl("explain", kind.name.lower()).split())
    text = " ".join(kubectl("explain", "externalservice.spec.ports").split())
    assert "The port that applications call." in text
    assert "required" in text
    assert "enum: HTTP, HTTP2, GRPC" in text
