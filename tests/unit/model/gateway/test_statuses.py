"""Conditions as the specification has them: reasons, whose entries they are, and since when they hold."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from outgate.model import conditions
from outgate.model.conditions import CONTROLLER, POLICIES, ROUTES, Condition, Entry, Moment
from outgate.model.declarations import Source
from outgate.model.deriving import source_of
from outgate.model.gateway.relations import Relations
from outgate.model.gateway.statuses import Outcome, entries
from outgate.resources.kinds import parse
from outgate.resources.manifests import read

_GOLDEN = Path(__file__).parents[3] / "golden" / "model"
NOW = Moment(3, "2026-01-01T00:00:00Z")


def said(text: str, kind: str, name: str, outcome: Outcome) -> list[dict[str, str]]:
    """Return each entry's conditions, as `True/Reason` by type."""
    relations = Relations()
    found = {source_of(each): each for each in parse(read(text, "f").documents).every()}
    relations.update(found.items())
    documents = [each for each in yaml.safe_load_all(text) if each["kind"] == kind]
    (document,) = (each for each in documents if each["metadata"]["name"] == name)
    namespace = document["metadata"].get("namespace", "default")
    made = entries(Source(kind, namespace, name), document["spec"], relations, outcome)
    return [
        {each.type: f"{each.status}/{each.reason}" for each in entry.conditions} for entry in made
    ]


def case(name: str, kind: str, resource: str, outcome: Outcome) -> list[dict[str, str]]:
    text = (_GOLDEN / f"gateway-{name}" / "input.yaml").read_text()
    return said(text, kind, resource, outcome)


def test_a_route_that_is_attached_and_programmed() -> None:
    programmed = Outcome(programmed=True)
    assert case("precedence", "HTTPRoute", "b", programmed) == [
        {
            "Accepted": "True/Accepted",
            "ResolvedRefs": "True/ResolvedRefs",
            "Programmed": "True/Programmed",
        }
    ]
    (pending,) = case("precedence", "HTTPRoute", "b", Outcome())
    assert pending["Programmed"] == "None/Pending"
    (refused,) = case("precedence", "HTTPRoute", "b", Outcome(refused="no", programmed=True))
    assert refused["Programmed"] == "False/Invalid"


@pytest.mark.parametrize(
    ("golden", "kind", "name", "accepted", "resolved"),
    [
        ("routes", "HTTPRoute", "r", "True/Accepted", "False/BackendNotFound"),
        ("references", "HTTPRoute", "led", "True/Accepted", "False/RefNotPermitted"),
        (
            "references",
            "HTTPRoute",
            "from-elsewhere",
            "False/NotAllowedByListeners",
            "True/ResolvedRefs",
        ),
        ("connections", "TCPRoute", "beside", "False/Conflicted", "True/ResolvedRefs"),
        (
            "connections",
            "TLSRoute",
            "misnamed",
            "False/NoMatchingListenerHostname",
            "True/ResolvedRefs",
        ),
        (
            "invalid",
            "HTTPRoute",
            "unsupported",
            "True/Accepted",
            "True/ResolvedRefs",
        ),
        ("routes", "BackendTLSPolicy", "t", "True/Accepted", "True/ResolvedRefs"),
    ],
)
def test_reasons(golden: str, kind: str, name: str, accepted: str, resolved: str) -> None:
    first, *_ = case(golden, kind, name, Outcome())
    assert (first["Accepted"], first["ResolvedRefs"]) == (accepted, resolved)


def test_a_filter_that_cannot_be_done_is_said() -> None:
    (found,) = case("invalid", "HTTPRoute", "unsupported", Outcome())
    assert found["PartiallyInvalid"] == "True/UnsupportedValue"


def test_a_route_that_cannot_be_read_says_so_to_each_parent_that_may_be_ours() -> None:
    (found,) = case("invalid", "HTTPRoute", "http", Outcome(errors=("spec: wrong",)))
    assert found["Accepted"] == "False/UnsupportedValue"


def test_what_belongs_to_other_controllers_gets_no_entry() -> None:
    text = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: some-gateway}]
  rules: [{backendRefs: [{name: s, port: 80}]}]
"""
    assert said(text, "HTTPRoute", "r", Outcome()) == []
    assert said(text, "HTTPRoute", "r", Outcome(errors=("spec: wrong",))) == []


TRUE = Condition("Accepted", True, "Accepted", "fine")
FALSE = Condition("Accepted", False, "Invalid", "not fine")


def status(before: dict[str, Any], *entries: Entry, now: Moment = NOW) -> dict[str, Any]:
    return conditions.status(before, ROUTES, entries, now)


def test_entries_of_others_stay_and_times_stay_while_nothing_changes() -> None:
    other = {"parentRef": {"name": "g"}, "controllerName": "example.com/x", "conditions": []}
    reference = {"kind": "Service", "name": "s"}
    first = status({"parents": [other]}, Entry(reference, (TRUE,)))
    assert first["parents"][0] == other
    later = Moment(4, "2026-01-02T00:00:00Z")
    again = status(first, Entry(reference, (TRUE,)), now=later)
    (made,) = again["parents"][1]["conditions"]
    assert (made["lastTransitionTime"], made["observedGeneration"]) == (NOW.time, 4)
    changed = status(again, Entry(reference, (FALSE,)), now=later)
    (made,) = changed["parents"][1]["conditions"]
    assert (made["lastTransitionTime"], made["status"]) == (later.time, "False")
    assert status(changed) == {"parents": [other]}


def test_plain_conditions_stand_beside_those_of_others() -> None:
    other = {"type": "Reviewed", "status": "True"}
    made = conditions.status({"conditions": [other]}, conditions.PLAIN, (Entry({}, (TRUE,)),), NOW)
    assert [each["type"] for each in made["conditions"]] == ["Accepted", "Reviewed"]


def test_policies_are_told_by_ancestor() -> None:
    made = conditions.status({}, POLICIES, (Entry({"name": "s"}, (TRUE,)),), NOW)
    (entry,) = made["ancestors"]
    assert entry["ancestorRef"] == {"name": "s"}
    assert entry["controllerName"] == CONTROLLER
