"""`outgate check` says before and after an installation what is wrong, and what to do about it."""

import json
from pathlib import Path

import pytest
from tests.cluster.mesh.conftest import SYSTEM, Mesh
from tests.cluster.mesh.operating import READY

pytestmark = pytest.mark.cluster
LIMITED = """
some={folder}/kubeconfig
kubectl create serviceaccount some
kubectl create clusterrolebinding some --clusterrole=view --serviceaccount=default:some
cp $KUBECONFIG $some
cluster=$(kubectl --kubeconfig $some config view -o jsonpath='{{.contexts[0].context.cluster}}')
kubectl --kubeconfig $some config set-credentials some --token=$(kubectl create token some)
kubectl --kubeconfig $some config set-context some --cluster=$cluster --user=some
"""


def status(mesh: Mesh, *words: str) -> tuple[int, str]:
    said = mesh.shell(f"outgate check {' '.join(words)} 2>&1 && echo 0 || echo $?", check=False)
    *lines, last = said.splitlines()
    return int(last), "\n".join(lines)


def test_before_and_after(empty: Mesh) -> None:
    code, said = status(empty, "--probe")
    assert code == 0, said
    lines = said.splitlines()
    assert lines[0].startswith("ok       server: Kubernetes v1.")
    for start in (
        "ok       nodes: 1 (",
        "ok       ranges: named by the cluster: 10.",
        "ok       permissions: you may make all that is installed",
        "ok       probe: pods can be captured on ",
    ):
        assert any(each.startswith(start) for each in lines), said
    assert "the rules are in place, by nft" in said
    assert "outgate-check" not in empty.cluster.kubectl("get", "namespaces")
    # Nothing was made, so there is nothing to take away.
    assert "nothing of Outgate" in empty.shell("outgate install --uninstall")

    empty.shell(f"outgate install | kubectl apply -f - \n{READY}", seconds=150)
    code, said = status(empty)
    assert code == 0, said
    for line in (
        "ok       outgate-controller: 1 of 1 ready",
        "ok       outgate-egress: 1 of 1 ready",
        "ok       webhook: the API server knows whom to trust",
        "ok       injection: the API server reaches the webhook, and pods get capture",
    ):
        assert line in said.splitlines(), said

    with empty.cluster.namespace(
        **{"outgate.dev/inject": "enabled", "pod-security.kubernetes.io/enforce": "baseline"}
    ) as name:
        code, said = status(empty, "-o", "json")
        assert code == 1, said
        wrong = [each for each in json.loads(said) if each["level"] == "error"]
        assert [each["check"] for each in wrong] == ["pod security"]
        assert wrong[0]["message"] == f"injected pods are refused in {name} (baseline)"
        assert "enforce=privileged" in wrong[0]["hint"]

    # A controller that ends at once, and says why.
    empty.shell(f"kubectl set env -n {SYSTEM} deployment/outgate-controller OUTGATE_RESOLVERS=x")
    for _ in range(60):
        code, said = status(empty)
        if "OUTGATE_RESOLVERS" in said:
            break
    assert code == 1
    assert "error    outgate-controller: 1 of 1 ready: " in said
    assert "OUTGATE_RESOLVERS='x': 'x' does not appear to be an IPv4 or IPv6 address" in said


def test_an_image_that_is_not_there(empty: Mesh) -> None:
    empty.shell("outgate install --tag nope --imagePullPolicy Never | kubectl apply -f -")
    for _ in range(60):
        code, said = status(empty)
        if "ErrImageNeverPull" in said:
            break
    assert code == 1
    assert "error    outgate-controller: 0 of 1 ready: controller: ErrImageNeverPull" in said
    assert "error    webhook: caBundle is not set" in said
    assert "error    injection: the API server cannot ask the webhook: " in said
    assert "warning  versions: controller is nope" in said


def test_without_rights(empty: Mesh, tmp_path: Path) -> None:
    kubeconfig = f"--kubeconfig {tmp_path}/kubeconfig"
    empty.shell(LIMITED.format(folder=tmp_path))
    try:
        code, said = status(empty, kubeconfig, "--context", "some")
        assert code == 1
        assert "error    permissions: you may not create namespaces" in said
        assert "warning  nodes: not checked: nodes is forbidden" in said
        code, said = status(empty, kubeconfig, "--context", "none")
        assert (code, said) == (
            2,
            "error: no cluster to connect to: Context 'none' not found "
            "(name it by --kubeconfig or KUBECONFIG, or run in one (outgate install))",
        )
    finally:
        empty.shell("kubectl delete serviceaccount/some clusterrolebinding/some")
