"""Which pods of a cluster are captured, as they themselves show it."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from outgate.inject import pod
from outgate.kube import plain
from outgate.kube.client import Client

_OVER = ("Succeeded", "Failed")


async def captured(client: Client) -> dict[str, int]:
    """Return how many captured pods each namespace has that has any."""
    found: Counter[str] = Counter()
    async for each in plain.items(client, "api/v1/pods"):
        if is_captured(each):
            found[each["metadata"]["namespace"]] += 1
    return dict(sorted(found.items()))


def is_captured(item: Mapping[str, Any]) -> bool:
    """Whether a pod has capture, and still runs."""
    annotations = item["metadata"].get("annotations") or {}
    first = {each.get("name") for each in item["spec"].get("initContainers") or ()}
    running = (item.get("status") or {}).get("phase") not in _OVER
    return running and pod.STATUS in annotations and pod.INIT in first
