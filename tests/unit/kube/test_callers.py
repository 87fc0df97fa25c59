"""Pods of a cluster, as policies see them."""

from collections.abc import Iterable, Mapping
from typing import Any

from outgate.kube.callers import caller
from outgate.kube.controller import SITE
from outgate.kube.mesh import Mesh
from outgate.model.declarations import Source
from outgate.settings import Settings
from outgate.xds.clusters import Upstream
from outgate.xds.policing import filters
from outgate.xds.snapshot import Resource

POLICY = {
    "apiVersion": "outgate.dev/v1alpha1",
    "kind": "EgressPolicy",
    "metadata": {"name": "p", "namespace": "shop"},
    "spec": {
        "subject": {"podSelector": {"matchLabels": {"app": "a"}}},
        "rules": [{"to": [{"host": "api.example.com"}]}],
    },
}


def pod(name: str, **labels: str) -> dict[str, object]:
    return {
        "metadata": {"name": name, "namespace": "shop", "labels": labels},
        "spec": {"serviceAccountName": "builder"},
    }


def test_what_policies_ask_about_is_kept() -> None:
    found = caller(pod("a-1", app="a"))
    assert (str(found.name), found.service_account) == ("a-1.shop", "builder")
    assert found.labels == {"app": "a"}
    assert caller({"metadata": {"name": "b", "namespace": "shop"}}).service_account == "default"


def test_pods_come_and_go_without_a_change_of_rules() -> None:
    mesh = Mesh(SITE, Upstream(Settings(), "/ca.crt"))
    started = {each.name for each in mesh.start().changed}
    assert {filters.CALLER, filters.HTTP, filters.TCP} <= started
    first = mesh.update([(Source("EgressPolicy", "shop", "p"), POLICY)]).changed
    assert {filters.HTTP, filters.CALL, "policy-http|shop"} <= {each.name for each in first}
    changed = mesh.update_callers("shop", (caller(pod("a-1", app="a")),)).changed
    # Connections are judged by the pods' names.
    moved = {filters.CALLER, filters.TCP, filters.TLS, filters.ADDRESS}
    assert names(changed) == moved | {f"{each}|shop" for each in moved}
    assert mesh.update_callers("other", (caller(pod("a-1", app="a")),)).changed == ()
    gone = mesh.update([(Source("EgressPolicy", "shop", "p"), None)])
    assert {filters.HTTP, filters.CALLER, filters.CALL} <= {each.name for each in gone.changed}
    assert {name for _, name in gone.removed} == {n for n in names(first) if n.endswith("|shop")}


def test_a_change_of_rules_changes_its_own_namespace_alone() -> None:
    mesh = Mesh(SITE, Upstream(Settings(), "/ca.crt"))
    mesh.start()
    for namespace in ("shop", "tools"):
        mesh.update(
            [(Source("EgressPolicy", namespace, "p"), policy(namespace, "api.example.com"))]
        )
    new = policy("shop", "www.example.com")
    changed = mesh.update([(Source("EgressPolicy", "shop", "p"), new)]).changed
    assert names(changed) == {"policy-http", "policy-http|shop"}


def names(resources: Iterable[Resource]) -> set[str]:
    return {each.name for each in resources}


def policy(namespace: str, host: str) -> Mapping[str, Any]:
    http = [{"to": [{"host": host}], "http": [{"methods": ["GET"]}]}]
    metadata = {"name": "p", "namespace": namespace}
    return POLICY | {"metadata": metadata, "spec": {"rules": http}}


def test_policies_of_others_leave_a_limit_and_its_count_alone() -> None:
    mesh = Mesh(SITE, Upstream(Settings(), "/ca.crt"))
    mesh.start()
    limited = {"rules": [{"rateLimit": {"requests": 1}}]}
    changed = mesh.update(
        [(Source("EgressPolicy", "shop", "p"), POLICY | {"spec": limited})]
    ).changed
    counting = {each.name for each in changed if each.name.startswith("limit|")}
    assert len(counting) == 1
    other = POLICY | {"metadata": {"name": "q", "namespace": "shop"}}
    changed = mesh.update([(Source("EgressPolicy", "shop", "q"), other)]).changed
    assert not any(each.name.startswith("limit|") for each in changed)
