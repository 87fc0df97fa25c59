"""Conditions in an object's `status`, as Kubernetes' API conventions have them: without I/O, and without a clock.

Entries of other controllers stay as they are, and a condition that says what it said keeps its time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CONTROLLER = "outgate.dev/egress"
"""By which our entries are known among those of others."""
_LONGEST = 32768
"""Of a message, as the API server takes it."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`status` is None while it is not known yet."""

    type: str
    status: bool | None
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is said in regard to one object that `reference` names, in `field` of an entry of a list."""

    reference: Mapping[str, Any]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """Where conditions stand: in `status.conditions`, or in entries of `status.LIST`, each with a reference."""

    list: str = ""
    reference: str = ""


ROUTES = Shape("parents", "parentRef")
POLICIES = Shape("ancestors", "ancestorRef")
PLAIN = Shape()


@dataclass(frozen=True, slots=True)
class Moment:
    """Of which generation something is said, and when (RFC 3339); 0 and empty where nobody counts."""

    generation: int
    time: str


def status(
    before: Mapping[str, Any], shape: Shape, entries: Iterable[Entry], moment: Moment
) -> dict[str, Any]:
    """Return the status that is to be: `before` with our entries as they are now. Without a list there is one entry."""
    if not shape.list:
        (entry,) = entries
        held = before.get("conditions") or []
        mine = {each.type for each in entry.conditions}
        others = [each for each in held if each.get("type") not in mine]
        return {**before, "conditions": [*_conditions(entry, held, moment), *others]}
    listed = [each for each in before.get(shape.list) or () if isinstance(each, Mapping)]
    others = [each for each in listed if each.get("controllerName") != CONTROLLER]
    ours = [
        {
            shape.reference: dict(entry.reference),
            "controllerName": CONTROLLER,
            "conditions": _conditions(entry, _held(entry, listed, shape), moment),
        }
        for entry in entries
    ]
    return {**before, shape.list: [*others, *ours]}


def _held(
    entry: Entry, listed: Iterable[Mapping[str, Any]], shape: Shape
) -> list[Mapping[str, Any]]:
    for each in listed:
        same = each.get(shape.reference) == dict(entry.reference)
        if same and each.get("controllerName") == CONTROLLER:
            return list(each.get("conditions") or ())
    return []


def _conditions(
    entry: Entry, held: Iterable[Mapping[str, Any]], moment: Moment
) -> list[dict[str, Any]]:
    known = {each.get("type"): each for each in held}
    made = []
    for each in entry.conditions:
        said = "Unknown" if each.status is None else str(each.status)
        old = known.get(each.type, {})
        since = old.get("lastTransitionTime") if old.get("status") == said else None
        made.append(
            {
                "type": each.type,
                "status": said,
                "reason": each.reason,
                "message": each.message[:_LONGEST],
            }
            | ({"observedGeneration": moment.generation} if moment.generation else {})
            | ({"lastTransitionTime": since or moment.time} if moment.time else {})
        )
    return made
