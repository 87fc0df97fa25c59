"""`EgressPolicy`: which pods of its namespace may call what, how, how much, and with which credential."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from outgate.resources.checks import Checker
from outgate.resources.documents import Document
from outgate.resources.metadata import ObjectMeta
from outgate.resources.native import objects
from outgate.resources.native.forms import LABEL_KEY, LABEL_VALUE, OBJECT_NAME
from outgate.resources.native.objects import Kind
from outgate.resources.native.policy_rules import RULE, CalleeSpec, PolicyRuleSpec
from outgate.resources.problems import Location, Problem
from outgate.resources.schemas import Choice, Field, Fields, Items, Pairs, Text
from outgate.traffic.permitting import Mode, Subject


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """A valid EgressPolicy."""

    metadata: ObjectMeta
    location: Location
    subject: Subject
    rules: tuple[PolicyRuleSpec, ...] = ()
    mode: Mode = Mode.ENFORCE


def _selector(labels: tuple[tuple[str, str], ...] = ()) -> Mapping[str, str]:
    return MappingProxyType(dict(labels))


_POD_SELECTOR = Fields(
    (
        Field(
            "matchLabels",
            Pairs(LABEL_KEY, Text(LABEL_VALUE, empty=True), 16),
            "Labels that pods must have, all of them.",
            "labels",
        ),
    ),
    _selector,
)
SUBJECT = Fields(
    (
        Field(
            "podSelector", _POD_SELECTOR, "Pods with these labels; all if it is left out.", "labels"
        ),
        Field(
            "serviceAccounts",
            Items(Text(OBJECT_NAME), 64, 1, "."),
            "Pods of any of these service accounts; of all if they are left out.",
            "service_accounts",
        ),
    ),
    Subject,
)
SPEC = Fields(
    (
        Field("subject", SUBJECT, "Which pods of this namespace; all if it is left out."),
        Field(
            "mode",
            Choice({each.value: each for each in Mode}),
            "`Enforce` decides. `Audit` changes nothing, and notes in the log what it would have decided.",
            default="Enforce",
        ),
        Field(
            "rules",
            Items(RULE, 64),
            "What may be called, and what may not; without any, nothing may.",
        ),
    ),
    dict,
)
KIND = Kind(
    "EgressPolicy",
    "egresspolicies",
    ("egp",),
    "Which pods of this namespace may call what, how, how much, and with which credential.",
    SPEC,
    (("Mode", ".spec.mode", 0),),
)


_MOST_CONDITIONS = 8192
"""Of one policy: all policies together are one resource of every egress Envoy."""


def _size(rule: PolicyRuleSpec) -> int:
    requests = (len(each.methods) + len(each.paths) + len(each.headers) for each in rule.http)
    return sum(max(1, len(each.ports)) for each in rule.to or (CalleeSpec(),)) * max(
        1, sum(requests)
    )


def parse_egress_policy(
    document: Document, default_namespace: str
) -> tuple[EgressPolicy | None, tuple[Problem, ...]]:
    """Read the EgressPolicy in `document`, None if anything in it is an error, and all its problems."""
    check = Checker(document)
    metadata, spec = objects.read_object(check, document, KIND, default_namespace)
    if spec is not None and not check.failed:
        conditions = sum(map(_size, spec.get("rules", ())))
        if conditions > _MOST_CONDITIONS:
            message = (
                f"callees times conditions are {conditions}, at most {_MOST_CONDITIONS} are allowed"
            )
            check.error("spec.rules", message, "divide it into several policies")
    if check.failed or spec is None:
        return None, check.problems
    given = {"subject": Subject()} | spec
    return EgressPolicy(metadata, document.location, **given), check.problems
