"""The task, with kubectl and outgate typed exactly as it says."""

import json
from collections.abc import Iterator

import pytest
from tests.cluster.mesh.conftest import SERVICES, Mesh

SOURCE = "SOURCE_POD=$(kubectl get pod -l app=sleep -o jsonpath={.items..metadata.name})"

DIRECT = "http://httpbin.org/headers"


@pytest.fixture(scope="module")
def sleep(mesh: Mesh) -> Iterator[Mesh]:
    mesh.shell("kubectl apply -f <(outgate kube-inject -f samples/apps/sleep/sleep.yaml)")
    mesh.shell("kubectl rollout status deployment/sleep --timeout=60s", seconds=70)
    yield mesh
    mesh.shell("kubectl delete -f samples/apps/sleep/sleep.yaml --wait=true")


def curl(mesh: Mesh, words: str, *, check: bool = True) -> str:
    script = f"{SOURCE}; kubectl exec $SOURCE_POD -c sleep -- curl -sS --max-time 5 {words}"
    return mesh.shell(script, check=check)


def test_the_task(sleep: Mesh) -> None:
    assert "Could not resolve host" in curl(sleep, DIRECT, check=False)
    sleep.shell(f"kubectl create -f - <<'END'{SERVICES}END")
    try:
        answer = json.loads(
            curl(sleep, "--retry 9 --retry-all-errors -f http://externalbin/headers")
        )
        assert answer["headers"]["Host"] == "httpbin.org"
        assert not [each for each in answer["headers"] if "outgate" in each.lower()]
        assert (
            "google"
            in curl(sleep, "--retry 9 --retry-all-errors -f http://securegoogle:443").lower()
        )
        assert "Could not resolve host" in curl(sleep, DIRECT, check=False)
    finally:
        sleep.shell("kubectl delete service externalbin securegoogle")
    said = curl(sleep, "http://externalbin/headers", check=False)
    assert "httpbin" not in said
