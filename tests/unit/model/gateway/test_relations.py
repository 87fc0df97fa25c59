"""Routes, XBackends, grants and policies that come and go in any order, and what follows from them."""

import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from outgate.model.declarations import Source
from outgate.model.deriving import source_of
from outgate.model.gateway.relations import Change, Relations
from outgate.model.gateway.resolving import Reason
from outgate.model.names import Name
from outgate.resources.kinds import Resource, parse
from outgate.resources.manifests import read

_GOLDEN = Path(__file__).parents[3] / "golden" / "model"
_CASES = ("routes", "precedence", "references", "connections")


def resources(text: str) -> dict[Source, Resource]:
    return {source_of(each): each for each in parse(read(text, "f").documents).every()}


def case(name: str) -> dict[Source, Resource]:
    return resources((_GOLDEN / f"gateway-{name}" / "input.yaml").read_text())


def declared(changes: list[Change], kept: dict[Source, Any]) -> None:
    for source, new in changes:
        if new is None:
            kept.pop(source, None)
        else:
            kept[source] = new


@pytest.mark.parametrize("name", _CASES)
def test_the_order_in_which_things_come_and_go_does_not_matter(name: str) -> None:
    found = case(name)
    at_once: dict[Source, Any] = {}
    whole = Relations()
    declared(whole.update(found.items()), at_once)
    for seed in range(10):
        chance = random.Random(seed)  # noqa: S311 - an order, not a secret
        relations, kept = Relations(), dict[Source, Any]()
        steps = [(source, each) for source, each in found.items()]
        gone: list[tuple[Source, Resource | None]] = [
            (source, None) for source in found if chance.random() < 0.5
        ]
        chance.shuffle(steps)
        for step in (*steps, *gone, *((source, found[source]) for source, _ in gone)):
            declared(relations.update([step]), kept)
        assert kept == at_once
        assert relations.found == whole.found


def refused(found: dict[Source, Resource], kind: str, name: str) -> list[tuple[str, Reason]]:
    relations = Relations()
    relations.update(found.items())
    (source,) = (each for each in found if (each.kind, each.name) == (kind, name))
    return [(each.path, each.reason) for each in relations.refusals(source)]


def test_reasons_are_those_of_the_specification() -> None:
    found = case("references")
    assert refused(found, "HTTPRoute", "led") == [
        ("spec.parentRefs[1]", Reason.NO_MATCHING_PARENT),
        ("spec.rules[0].backendRefs[1]", Reason.REF_NOT_PERMITTED),
        ("spec.rules[0].backendRefs[2]", Reason.BACKEND_NOT_FOUND),
        ("spec.rules[0].backendRefs[3]", Reason.BACKEND_NOT_FOUND),
        ("spec.rules[0].backendRefs[4]", Reason.UNSUPPORTED_PROTOCOL),
        ("spec.rules[0].backendRefs[5]", Reason.INVALID_KIND),
    ]
    expected = [("spec.parentRefs[0]", Reason.NOT_ALLOWED_BY_LISTENERS)]
    assert refused(found, "HTTPRoute", "from-elsewhere") == expected
    connections = case("connections")
    assert refused(connections, "TLSRoute", "misnamed") == [
        ("spec.parentRefs[0]", Reason.NO_MATCHING_LISTENER_HOSTNAME)
    ]
    expected = [("spec.parentRefs[0]", Reason.CONFLICTED)]
    assert refused(connections, "TCPRoute", "beside") == expected


def test_a_grant_that_goes_takes_what_it_allowed_with_it() -> None:
    found = case("references")
    relations, kept = Relations(), dict[Source, Any]()
    declared(relations.update(found.items()), kept)
    grant = Source("ReferenceGrant", "b", "shared")
    declared(relations.update([(grant, None)]), kept)
    (routes,) = (each for source, each in kept.items() if source.kind == "Routes")
    first = routes.routings[0].rules[0]
    assert first.answer is not None
    assert first.answer.status == 500


def policy(name: str, created: str, section: str = "") -> dict[str, Any]:
    target = {"group": "", "kind": "Service", "name": "s"}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "BackendTLSPolicy",
        "metadata": {"name": name, "creationTimestamp": created},
        "spec": {
            "targetRefs": [target | ({"sectionName": section} if section else {})],
            "validation": {"hostname": f"{name}.example.com", "wellKnownCACertificates": "System"},
        },
    }


def test_of_several_policies_the_one_for_a_port_counts_then_the_older() -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {
            "type": "ExternalName",
            "externalName": "s.example.com",
            "ports": [{"port": 80, "name": "http"}, {"port": 81, "name": "grpc"}],
        },
    }
    documents = [
        service,
        policy("younger", "2026-01-03"),
        policy("older", "2026-01-02"),
        policy("port", "2026-01-04", "grpc"),
    ]
    found = resources(yaml.safe_dump_all(documents))
    relations = Relations()
    kept: dict[Source, Any] = {}
    declared(relations.update(found.items()), kept)
    said = {
        tuning.ports: tuning.upstream.tls.sni for each in kept.values() for tuning in each.tunings
    }
    assert said == {(80,): "older.example.com", (81,): "port.example.com"}
    assert refused(found, "BackendTLSPolicy", "younger") == [
        ("spec.targetRefs[0]", Reason.CONFLICTED)
    ]


def test_what_is_attached_to_a_service_inside_a_cluster_is_for_others() -> None:
    found = case("routes")
    relations = Relations()
    bin_ = next(each for each in found if each.name == "bin")
    relations.known.others.add(Name("shop", "bin"))
    changes = relations.update((s, None if s == bin_ else each) for s, each in found.items())
    assert not [each for source, each in changes if source.kind == "Routes" and each]
    consumer = Source("HTTPRoute", "other", "consumer")
    assert all(each.path != "spec.parentRefs[0]" for each in relations.refusals(consumer))


def test_to_name_an_xbackend_of_another_namespace_as_a_parent_is_no_leave_to_call_it() -> None:
    theirs = {"group": "gateway.networking.x-k8s.io", "kind": "XBackend", "name": "private"}
    theirs |= {"namespace": "theirs"}
    backend = {
        "apiVersion": "gateway.networking.x-k8s.io/v1alpha1",
        "kind": "XBackend",
        "metadata": {"name": "private", "namespace": "theirs"},
        "spec": {
            "type": "ExternalHostname",
            "externalHostname": {"hostname": "private.example.com"},
            "port": {"port": 80},
            "protocol": "HTTP",
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"type": "ExternalName", "externalName": "s.example.com", "ports": [{"port": 80}]},
    }
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "r"},
        "spec": {
            "parentRefs": [{"group": "", "kind": "Service", "name": "s"}, theirs],
            "rules": [{"backendRefs": [theirs | {"port": 80}]}],
        },
    }
    found = resources(yaml.safe_dump_all([backend, service, route]))
    reasons = {reason for _, reason in refused(found, "HTTPRoute", "r")}
    assert reasons == {Reason.NOT_ALLOWED_BY_LISTENERS, Reason.REF_NOT_PERMITTED}
