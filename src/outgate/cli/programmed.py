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
