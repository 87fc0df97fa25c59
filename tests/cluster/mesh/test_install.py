"""Outgate comes and goes whole, by either way."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.cluster import Cluster
from tests.cluster.mesh.conftest import SYSTEM, Mesh
from tests.cluster.mesh.operating import READY

pytestmark = pytest.mark.cluster
# Every kind that can be listed at all, and what is ours by label or by name.
LEFT = f"""
kinds=$(kubectl api-resources --verbs=list,delete -o name | grep -v '^events' | paste -sd,)
kubectl get $kinds -A --ignore-not-found -o name -l app.kubernetes.io/part-of=outgate
kubectl get $kinds -A --ignore-not-found -o name -l app.kubernetes.io/managed-by=outgate-controller
kubectl get namespace {SYSTEM} --ignore-not-found -o name
kubectl get configmaps -A --field-selector metadata.name=outgate -o name
"""
DEFINITIONS = [
    f"customresourcedefinition.apiextensions.k8s.io/{each}.outgate.dev"
    for each in ("egresspolicies", "externalservices")
]
SERVICE = """
apiVersion: outgate.dev/v1alpha1
kind: ExternalService
metadata: {name: least}
spec: {hosts: [api.example.com], ports: [{port: 443, protocol: HTTPS}]}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  containers: [{name: a, image: curlimages/curl, imagePullPolicy: IfNotPresent, command: [sleep, "3600"]}]
"""


@pytest.fixture
def labelled(cluster: Cluster) -> Iterator[str]:
    with cluster.namespace(**{"outgate.dev/inject": "enabled"}) as name:
        yield name


def test_nothing_is_left(empty: Mesh, labelled: str) -> None:
    cluster = empty.cluster
    empty.shell(f"outgate install | kubectl apply -f - \n{READY}", seconds=150)
    cluster.apply(POD.replace("NAME", "captured"), namespace=labelled)
    cluster.wait("Ready", "pod/captured", namespace=labelled)
    listed = empty.shell("outgate install --uninstall --dry-run", check=False)
    assert (
        'deployment.apps "outgate-egress" deleted from outgate-system namespace (server' in listed
    )
    assert cluster.kubectl("get", "deployments", "-n", SYSTEM, "-o", "name").count("outgate") == 2
    said = empty.shell("outgate install --uninstall", check=False, seconds=200)
    assert empty.shell(LEFT, seconds=120) == ""
    lines = said.splitlines()
    order = [
        'mutatingwebhookconfiguration.admissionregistration.k8s.io "outgate" deleted',
        'deployment.apps "outgate-controller" deleted from outgate-system namespace',
        f'configmap "outgate" deleted from {labelled} namespace',
        'clusterrole.rbac.authorization.k8s.io "outgate-controller" deleted',
        'namespace "outgate-system" deleted',
    ]
    assert [lines.index(each) for each in order] == sorted(lines.index(each) for each in order)
    # The same that the trial said, which is all.
    assert {each for each in listed.splitlines() if "dry run" in each} == {
        f"{each} (server dry run)" for each in lines if " deleted" in each
    }
    # What is captured still is, and says nothing of its own: so this does.
    assert f"warning: pods are still captured, in namespaces {labelled} (1)" in said
    cluster.apply(POD.replace("NAME", "plain"), namespace=labelled)
    cluster.wait("Ready", "pod/plain", namespace=labelled)
    assert "outgate" not in cluster.kubectl("get", "pod", "plain", "-n", labelled, "-o", "json")
    again = empty.shell("outgate install --uninstall", check=False)
    assert "nothing of Outgate is in the cluster" in again


def test_by_helm(empty: Mesh, tmp_path: Path) -> None:
    cluster = empty.cluster
    empty.shell(f"outgate install --helm {tmp_path}/outgate")
    said = empty.shell(f"helm install outgate {tmp_path}/outgate\n{READY}", seconds=150)
    assert "kubectl label namespace NAMESPACE outgate.dev/inject=enabled" in said
    value = empty.shell(
        f"helm upgrade outgate {tmp_path}/outgate --set replicas=2 >/dev/null\n{READY}"
        f"kubectl get -n {SYSTEM} deployment/outgate-controller -o 'jsonpath={{.status.readyReplicas}}'",
        seconds=150,
    )
    assert value.endswith("2")
    bad = empty.shell(f"helm upgrade outgate {tmp_path}/outgate --set replicas=no", check=False)
    assert "at '/replicas': got string, want integer" in bad
    empty.shell("helm uninstall outgate --wait", seconds=120)
    # The ConfigMaps, which the controller made, belong to the namespace, and go with that.
    cluster.kubectl("wait", "--for=delete", f"namespace/{SYSTEM}", "--timeout=100s", seconds=110)
    for _ in range(100):
        left = empty.shell(LEFT, seconds=120)
        if left.split() == DEFINITIONS:
            break
    # Helm keeps what users' resources would go with; of which there are none.
    assert left.split() == DEFINITIONS
    empty.shell("outgate install --uninstall")
    assert empty.shell(LEFT, seconds=120) == ""


def test_definitions_stay_where_there_are_resources_of_their_kinds(
    empty: Mesh, namespace: str
) -> None:
    cluster, (policies, services) = empty.cluster, DEFINITIONS
    empty.shell("outgate install | kubectl apply -f -")
    cluster.kubectl("wait", "--for=condition=Established", services, policies)
    cluster.apply(SERVICE, namespace=namespace)
    said = empty.shell("outgate install --uninstall", check=False, seconds=200)
    assert 'externalservices.outgate.dev" stays, as there are resources of that kind' in said
    assert "kubectl delete crd externalservices.outgate.dev" in said
    assert empty.shell(LEFT, seconds=120).split() == [services]
    assert "least" in cluster.kubectl("get", "extsvc", "-n", namespace)
    cluster.kubectl("delete", "extsvc", "least", "-n", namespace)
    empty.shell("outgate install --uninstall", seconds=200)
    assert empty.shell(LEFT, seconds=120) == ""


def test_what_may_not_be_deleted_stays(empty: Mesh, tmp_path: Path) -> None:
    """With less than all rights nothing is deleted: half of it would keep pods from being made."""
    cluster = empty.cluster
    cluster.apply(
        """
{apiVersion: v1, kind: ServiceAccount, metadata: {name: some}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: some}, rules: [
  {apiGroups: ["*"], resources: ["*"], verbs: [get, list]},
  {apiGroups: [apps], resources: [deployments], verbs: [delete]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: some},
 roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: some},
 subjects: [{kind: ServiceAccount, name: some, namespace: default}]}
"""
    )
    try:
        empty.shell("outgate install | kubectl apply -f -")
        said = empty.shell(
            f"""
some={tmp_path}/kubeconfig
cp $KUBECONFIG $some
kubectl="kubectl --kubeconfig $some config"
cluster=$($kubectl view -o jsonpath='{{.contexts[0].context.cluster}}')
$kubectl set-credentials some --token=$(kubectl create token some) >/dev/null
$kubectl set-context some --cluster=$cluster --user=some >/dev/null
outgate install --uninstall --kubeconfig $some --context some
""",
            check=False,
        )
        assert "nothing was deleted" in said
        assert "cannot be deleted: mutatingwebhookconfigurations" in said
        assert (
            cluster.kubectl("get", "deployments", "-n", SYSTEM, "-o", "name").count("outgate") == 2
        )
    finally:
        cluster.kubectl(
            "delete", "clusterrolebinding/some", "clusterrole/some", "serviceaccount/some"
        )
