"""What is installed: its rights are the least, and every pod satisfies the restricted Pod Security Standard."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.unit.kube.installing import install, one

from outgate.cli.main import cli
from outgate.errors import UsageError
from outgate.inject.options import Options
from outgate.inject.pod import inject
from outgate.kube import leaving
from outgate.serve import authority
from outgate.xds import http


def pods(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each["spec"]["template"]["spec"] for each in found if each["kind"] == "Deployment"]


def test_pods_are_restricted() -> None:
    found = install()
    assert len(pods(found)) == 2
    for pod in pods(found):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        for container in pod["containers"]:
            context = container["securityContext"]
            # The standard lets one have NET_BIND_SERVICE; CoreDNS's program does not start without it.
            added = ["NET_BIND_SERVICE"] if container["name"] == "dns" else None
            assert context["capabilities"]["drop"] == ["ALL"]
            assert context["capabilities"].get("add") == added
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["runAsUser"] > 0
        kinds = {key for each in pod.get("volumes", ()) for key in each if key != "name"}
        assert kinds <= {"configMap", "projected", "emptyDir"}
    labels = found[0]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_rights_are_the_least() -> None:
    found = install()
    bound = {each["roleRef"]["name"] for each in found if each["kind"].endswith("RoleBinding")}
    assert "outgate-materials" not in bound
    roles = [
        each
        for each in found
        if each["kind"] in ("Role", "ClusterRole") and each["metadata"]["name"] in bound
    ]
    rules = [rule for each in roles for rule in each["rules"]]
    assert len(roles) == 2
    for rule in rules:
        assert "*" not in (*rule["verbs"], *rule["resources"], *rule["apiGroups"])
        if "configmaps" in rule["resources"]:
            assert rule["resourceNames"] == ["outgate"]
        if "secrets" in rule["resources"] and rule["verbs"] != ["create"]:
            assert rule["resourceNames"] == ["outgate-ca"]
    cluster = one(found, "ClusterRole", "outgate-controller")
    assert not any("secrets" in rule["resources"] for rule in cluster["rules"])
    egress = one(found, "Deployment", "outgate-egress")["spec"]["template"]["spec"]
    assert egress["automountServiceAccountToken"] is False


def test_rights_for_policies_are_there_where_they_are_asked_for() -> None:
    plain, asked = (
        {(each["kind"], each["metadata"]["name"]) for each in install(*words)}
        for words in ([], ["--network-policy"])
    )
    assert asked - plain == {
        (kind, "outgate-controller-policies")
        for kind in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
    }
    for words, value in (
        ([], None),
        (["--network-policy"], "cluster"),
        (["--network-policy=strict"], "strict"),
    ):
        pod = one(install(*words), "Deployment", "outgate-controller")["spec"]["template"]["spec"]
        found = [each for each in pod["containers"][0]["args"] if "network-policy" in each]
        assert found == ([f"--network-policy={value}"] if value else [])
    rules = [
        each
        for each in install("--network-policy")
        if each["metadata"]["name"].endswith("-policies")
    ]
    for role in rules:
        for rule in role.get("rules", ()):
            assert rule["resourceNames"] in (["outgate"], ["kubernetes"])


def test_flags_reach_what_they_are_for(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    now = datetime.datetime.now(datetime.UTC)
    bundle.write_bytes(authority.create(now, "test").bundle)
    found = install(
        "--hub=registry.test/mesh",
        "--tag=v9",
        "--imagePullPolicy=Never",
        "--replicas=3",
        "--egress-replicas=4",
        "--cluster-ranges=10.0.0.1/24,fd00::/112",
        f"--ca-file={bundle}",
        "--egress-max-connections=77",
        "--trust-domain=example.org",
        "--set=OUTGATE_EAGER_SERVICES=5",
        "--set=OUTGATE_RESOLVERS=192.0.2.1,192.0.2.2",
    )
    controller = one(found, "Deployment", "outgate-controller")["spec"]
    egress = one(found, "Deployment", "outgate-egress")["spec"]
    assert (controller["replicas"], egress["replicas"]) == (3, 4)
    (container,) = controller["template"]["spec"]["containers"]
    assert container["image"] == "registry.test/mesh/outgate:v9"
    assert container["imagePullPolicy"] == "Never"
    assert "--cluster-ranges=10.0.0.0/24,fd00::/112" in container["args"]
    assert {"name": "OUTGATE_TRUST_DOMAIN", "value": "example.org"} in container["env"]
    assert {"name": "OUTGATE_EAGER_SERVICES", "value": "5"} in container["env"]
    assert {"name": "OUTGATE_RESOLVERS", "value": "192.0.2.1,192.0.2.2"} in container["env"]
    where = container["args"][-1].removeprefix("--ca-file=")
    envoy, dns = egress["template"]["spec"]["containers"]
    assert envoy["image"] == "registry.test/mesh/envoy:v1.40.0"
    assert '"max_active_downstream_connections": "77"' in envoy["args"][1]
    assert dns["image"] == "registry.test/mesh/coredns:1.15.0"
    mounted = {each["mountPath"]: each["name"] for each in envoy["volumeMounts"]}
    data = one(found, "ConfigMap", mounted[str(Path(where).parent)])["data"]
    assert data[Path(where).name] == bundle.read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cluster-ranges=10.0.0.0/33"], "--cluster-ranges: '10.0.0.0/33'"),
        (["--ca-file=/does/not/exist"], "--ca-file: /does/not/exist is no CA bundle"),
        (["--set=OUTGATE_NOTHING=1"], "OUTGATE_NOTHING: unknown setting"),
        (["--set=OUTGATE_CONNECT_TIMEOUT=x"], "OUTGATE_CONNECT_TIMEOUT='x'"),
        (["--set=OTHER=1"], "OTHER: expected OUTGATE_"),
        (["--set=OUTGATE_IDLE_TIMEOUT"], "expected NAME=VALUE"),
        (["--trust-domain=a b"], "--trust-domain 'a b': expected a domain"),
        (["--set=OUTGATE_TRUST_DOMAIN=a"], "--trust-domain does the same"),
        (["--set=OUTGATE_RUN_DIR=/x"], "OUTGATE_RUN_DIR: has no effect in a cluster"),
        (["--set=OUTGATE_CA_FILE=/x"], "--ca-file does the same"),
        (["--set=OUTGATE_MAX_CONNECTIONS=99"], "--egress-max-connections does the same"),
        (["--hub=http://x"], "--hub"),
    ],
)
def test_bad_flags_print_no_manifest(words: list[str], message: str) -> None:
    result = CliRunner().invoke(cli, ["install", *words])
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
    assert result.stdout == ""


def test_pods_have_time_to_hand_over_what_they_have() -> None:
    found = install()
    controller = one(found, "Deployment", "outgate-controller")["spec"]
    egress = one(found, "Deployment", "outgate-egress")["spec"]
    needed = leaving.LINGER_SECONDS + leaving.LONGEST_SECONDS
    assert controller["template"]["spec"]["terminationGracePeriodSeconds"] > needed
    grace = egress["template"]["spec"]["terminationGracePeriodSeconds"]
    both = egress["template"]["spec"]["containers"]
    stays, resolves = (each["lifecycle"]["preStop"]["sleep"]["seconds"] for each in both)
    assert stays == resolves
    # Each HTTP connection gets its last answer before.
    assert http.TUNNELLED_SECONDS + 2 < stays < grace
    for each in (controller, egress):
        assert each["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_each_envoy_bounds_its_heap_below_its_containers_memory() -> None:
    egress = one(install(), "Deployment", "outgate-egress")["spec"]["template"]["spec"]
    template = {"spec": {"containers": [{"name": "a", "image": "b"}]}}
    sidecar = inject(template, Options())["spec"]["initContainers"][1]
    for container in (egress["containers"][0], sidecar):
        limit = int(container["resources"]["limits"]["memory"].removesuffix("Mi")) << 20
        form = json.loads(container["args"][container["args"].index("--config-yaml") + 1])
        monitors = form["overload_manager"]["resource_monitors"]
        (heap,) = (
            int(each["typed_config"]["max_heap_size_bytes"])
            for each in monitors
            if each["name"] == "envoy.resource_monitors.fixed_heap"
        )
        assert limit / 2 < heap <= limit * 3 / 4
