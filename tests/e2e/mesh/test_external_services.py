"""The project's own kinds, as a user writes them, and sees what has become of them."""

import pytest
from tests.e2e.mesh.spaces import Space
from tests.outside.control import Outside

pytestmark = [pytest.mark.root, pytest.mark.envoy]

WILD = """
apiVersion: outgate.dev/v1alpha1
kind: ExternalService
metadata: {name: wild}
spec:
  hosts: ["*.wild.test"]
  ports: [{port: 80, targetPort: 443, protocol: HTTP, tls: {}}]
  requestHeaders: {set: {x-added: all, x-kept: all}}
  rules:
  - matches: [{path: {prefix: /v1}}]
    requestHeaders: {set: {x-added: some}}
  - matches: [{path: {exact: /fault}, headers: [{name: x-try, exact: "1"}]}]
    fault: {abort: {status: 418}}
"""
SAME = """
apiVersion: outgate.dev/v1alpha1
kind: ExternalService
metadata: {name: zweiter}
spec:
  hosts: ["*.wild.test"]
  ports: [{port: 80, protocol: HTTP}]
"""


def test_what_a_rule_says_replaces_what_is_said_of_all_requests(
    space: Space, outside: Outside
) -> None:
    outside.open("wild")
    space.apply(WILD)
    common = dict(space.call("http://a.wild.test/").json()["headers"])
    assert (common["x-added"], common["x-kept"]) == ("all", "all")
    ruled = dict(space.call("http://a.wild.test/v1/b").json()["headers"])
    assert ruled["x-added"] == "some"
    assert "x-kept" not in ruled
    assert space.call("http://a.wild.test/v10").json()["path"] == "/v10"
    assert space.call("http://a.wild.test/fault", "-Hx-try: 1").status == 418
    assert space.call("http://a.wild.test/fault").status == 200


def test_the_name_that_was_asked_for_is_verified(space: Space, outside: Outside) -> None:
    outside.open("wild")
    space.apply(WILD)
    assert space.call("http://b.wild.test/").json()["sni"] == "b.wild.test"
    # Its certificate is for another name.
    assert space.call("http://odd.wild.test/").status == 503


def test_whether_it_is_programmed_is_shown(space: Space) -> None:
    space.apply(WILD)
    space.mesh.outgate("apply", "-n", space.namespace, "-f", "-", text=SAME)
    rows = space.mesh.outgate("get", "extsvc", "-n", space.namespace).splitlines()
    told = {each.split()[0]: each.split()[3] for each in rows[1:]}
    assert told == {"wild": "True", "zweiter": "False"}
    text = space.mesh.outgate("describe", "extsvc", "zweiter", "-n", space.namespace)
    assert "Programmed:     False" in text
    assert "*.wild.test is already declared by externalservice/wild" in text


def test_what_is_wrong_is_not_written_and_what_is_right_beside_it_is(space: Space) -> None:
    wrong = SAME.replace("protocol: HTTP", "protocol: TCP")
    done = space.mesh.outgate(
        "apply", "-n", space.namespace, "-f", "-", text=f"{wrong}\n---{WILD}", status=1
    )
    assert "name the hosts one by one, or write protocol: TLS" in done
    assert "externalservice.outgate.dev/wild created" in done
    assert "zweiter" not in space.mesh.outgate("get", "extsvc", "-n", space.namespace)


def test_apply_says_once_what_is_wrong(space: Space) -> None:
    """What the manifest shows by itself the mesh finds too, at no line."""
    told = space.apply(WILD.replace("tls: {}", "tls: {insecureSkipVerify: true}"))
    assert told.count("ANY CERTIFICATE IS ACCEPTED") == 1
