"""What the API server is answered: the same as kube-inject makes of the same pod."""

import base64
import json
from typing import Any

import pytest

from outgate.inject import pod
from outgate.inject.options import Options
from outgate.kube.webhook import review

POD: dict[str, Any] = {
    "metadata": {"generateName": "sleep-", "namespace": "default", "labels": {"app": "sleep"}},
    "spec": {
        "containers": [{"name": "sleep", "image": "curl"}],
        "volumes": [{"name": "kube-api-access", "projected": {}}],
    },
}


def ask(template: Any, **fields: Any) -> dict[str, Any]:
    return review({"uid": "7", "object": template, "namespace": "default", **fields}, Options())


def patched(template: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(template))
    for each in json.loads(base64.b64decode(answer["patch"])):
        _, parent, key = each["path"].split("/")
        assert each["op"] == ("replace" if key in found[parent] else "add")
        found[parent][key] = each["value"]
    return found


def test_a_pod_gets_what_kube_inject_gives_it() -> None:
    answer = ask(POD)
    assert (answer["uid"], answer["allowed"], answer["patchType"]) == ("7", True, "JSONPatch")
    assert patched(POD, answer) == pod.inject(POD, Options())


def test_asked_again_it_changes_nothing() -> None:
    once = pod.inject(POD, Options())
    # What the API server's own plugins add in between.
    once["spec"]["initContainers"][1]["volumeMounts"].append({"name": "kube-api-access"})
    assert ask(once) == {"uid": "7", "allowed": True}


def test_capture_that_is_claimed_and_false_is_refused() -> None:
    claimed = pod.inject(POD, Options())
    claimed["spec"]["initContainers"][0]["command"] = ["true"]
    answer = ask(claimed)
    assert answer["allowed"] is False
    said = answer["status"]["message"]
    assert said.startswith(
        "outgate: this pod says that it is captured, but container outgate-init: "
    )


def test_capture_of_another_version_is_made_anew() -> None:
    """Two controllers may be asked about one pod during an upgrade; nothing is believed of what is claimed."""
    for before in (Options(tag="older"), Options(hub="registry.test/x"), Options(version="0.0.9")):
        claimed = pod.inject(POD, before)
        claimed["spec"]["initContainers"][0]["command"] = ["true"]
        del claimed["spec"]["volumes"][1:]
        found = patched(claimed, ask(claimed))
        assert found["spec"] == pod.inject(POD, Options())["spec"]


def test_capture_comes_before_what_others_put_there() -> None:
    once = pod.inject(POD, Options())
    asked = json.loads(json.dumps(once))
    asked["spec"]["initContainers"].insert(0, {"name": "first"})
    found = patched(asked, ask(asked))["spec"]["initContainers"]
    assert [each["name"] for each in found] == [pod.INIT, pod.PROXY, "first"]


def test_who_can_get_round_capture_is_said() -> None:
    privileged = {"name": "sleep", "securityContext": {"privileged": True}}
    answer = ask({**POD, "spec": {"containers": [privileged]}})
    assert answer["allowed"] is True
    assert any("is privileged: it can get round capture" in each for each in answer["warnings"])


def test_the_annotation_alone_does_not_keep_capture_away() -> None:
    claimed = {**POD, "metadata": {"annotations": {pod.STATUS: "injected-version-0.1.0"}}}
    assert "patch" in ask(claimed)


@pytest.mark.parametrize(
    "template",
    [
        {**POD, "metadata": {"annotations": {"outgate.dev/inject": "false"}}},
        {**POD, "spec": {**POD["spec"], "hostNetwork": True}},
    ],
)
def test_what_is_left_alone_is_said(template: dict[str, Any]) -> None:
    answer = ask(template)
    assert answer["allowed"] is True
    assert "patch" not in answer
    assert answer["warnings"][0].startswith("outgate: left alone: ")


def test_a_pod_that_cannot_be_captured_is_not_made() -> None:
    annotations = {"outgate.dev/exclude-ip-ranges": "10.0.0.0/33"}
    answer = ask({**POD, "metadata": {"annotations": annotations}})
    assert answer["allowed"] is False
    assert "metadata.annotations: outgate.dev/exclude-ip-ranges" in answer["status"]["message"]


def test_what_is_no_pod_is_let_pass() -> None:
    for template, more in ((None, {}), (POD, {"subResource": "exec"})):
        assert ask(template, **more) == {"uid": "7", "allowed": True}


def test_an_annotation_that_is_too_long_is_refused_before_it_is_read() -> None:
    ranges = ",".join(["10.0.0.0/8"] * 2000)
    for key in ("outgate.dev/exclude-ip-ranges", "traffic.sidecar.istio.io/includeOutboundPorts"):
        answer = ask({**POD, "metadata": {"annotations": {key: ranges}}})
        assert answer["allowed"] is False
        assert answer["status"]["code"] == 422
        assert f"metadata.annotations: {key}: has 21999 characters" in answer["status"]["message"]
        assert "at most 8192" in answer["status"]["message"]
    # Others are none of our business.
    assert "patch" in ask({**POD, "metadata": {"annotations": {"note": "x" * 200_000}}})
