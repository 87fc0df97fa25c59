"""Whether the local mesh has programmed a resource, and what it has against one."""

from collections.abc import Mapping
from typing import Any

from outgate.cli.common import client
from outgate.errors import UnavailableError

Item = Mapping[str, Any]
Told = Mapping[tuple[str, str, str], list[Item]] | None
"""Problems by kind, namespace and name; None where no mesh is up."""


def told_by_the_mesh() -> Told:
    """Ask the daemon what is wrong with which resource."""
    try:
        answer = client().call("problems")
    except UnavailableError:
        return None
    found: dict[tuple[str, str, str], list[Item]] = {}
    for each in answer:
        found.setdefault((each["kind"], each["namespace"], each["name"]), []).append(each)
    return found


def with_statuses(items: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return resources of a kind with their status, as a cluster has it; without one where no mesh is up."""
    try:
        answer = client().call("statuses", kind=kind)
    except UnavailableError:
        return items
    found = {(each["namespace"], each["name"]): each["status"] for each in answer}

    def status(item: Item) -> Any:
        return found.get((item["metadata"]["namespace"], item["metadata"]["name"]))

    return [{**each, "status": said} if (said := status(each)) else each for each in items]


def conditions(item: Item) -> list[str]:
    """Return what a resource's status says, a line for each condition."""
    status = item.get("status") or {}
    entries = [{"conditions": status.get("conditions") or ()}]
    entries += [*(status.get("parents") or ()), *(status.get("ancestors") or ())]
    return [
        " ".join(filter(None, (_about(entry), f"{each['type']}={each['status']}", _why(each))))
        for entry in entries
        for each in entry["conditions"]
    ]


def _about(entry: Item) -> str:
    """Name the parent that an entry is about, as kubectl would."""
    reference = entry.get("parentRef") or entry.get("ancestorRef") or {}
    return f"{reference['kind'].lower()}/{reference['name']}:" if reference.get("kind") else ""


def _why(condition: Item) -> str:
    return f"({condition['reason']}) {condition['message']}".rstrip()


def about(item: Item, told: Told) -> list[Item]:
    """Return the problems of a resource."""
    metadata = item["metadata"]
    return (told or {}).get((item["kind"].lower(), metadata["namespace"], metadata["name"]), [])


def programmed(item: Item, told: Told) -> str:
    """Say it in the words of a condition's status."""
    if told is None:
        return "Unknown"
    wrong = any(each["severity"] == "error" for each in about(item, told))
    return "False" if wrong else "True"
