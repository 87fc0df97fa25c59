"""What the controller tells people about itself, as plain values, without I/O; the command line makes tables of it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from outgate.errors import NotFoundError
from outgate.resources.problems import Problem
from outgate.serve.publishing import Follower, Publisher
from outgate.serve.subscription import State
from outgate.xds import rendering
from outgate.xds.snapshot import Resource

Proxies = Iterable[tuple[Follower, Publisher]]


@dataclass(frozen=True, slots=True)
class Replica:
    """One controller: `services` counts external ones, `leader` is the pod that writes Events."""

    pod: str
    version: str
    ready: bool
    leads: bool
    leader: str
    services: int
    problems: tuple[str, ...]
    events_written: int


def status(replica: Replica, proxies: Proxies, now: float) -> dict[str, Any]:
    """Return how a controller is, and the proxies that it serves; `now` is the monotonic clock's."""
    return {**asdict(replica), "proxies": [_proxy(*each, now) for each in proxies]}


def problems(found: Iterable[Problem]) -> tuple[str, ...]:
    """Return what is wrong with resources, a line each."""
    return tuple(str(each) for each in found)


def _proxy(follower: Follower, publisher: Publisher, now: float) -> dict[str, Any]:
    kind, _, pod = follower.node.partition("~")
    name, _, namespace = pod.rpartition(".")
    behind = publisher.revision - follower.stream.acknowledged()
    refusals = follower.stream.refusals()
    nack = follower.nack
    return {
        "node": follower.node,
        "kind": kind,
        "pod": name,
        "namespace": namespace,
        "envoy": follower.envoy,
        "connected_seconds": round(now - follower.connected_at, 1),
        "synced": behind <= 0,
        "refused": [{"name": each.names[0], "message": each.message} for each in refusals],
        "last_nack": nack
        and {
            "type": nack.type_url.rpartition(".")[2],
            "message": nack.message,
            "seconds_ago": round(max(now - nack.at, 0.0), 1),
        },
    }


def resources(proxies: Proxies, node: str, *, contents: bool) -> dict[str, Any]:
    """Return what a proxy is told, and what it made of each; NotFoundError if it is not connected here."""
    for follower, publisher in proxies:
        if follower.node == node:
            found = [
                _resource(follower, each, contents=contents)
                for types in publisher.snapshot.types.values()
                for each in types.values()
            ]
            found.sort(key=lambda each: (each["type"], each["name"]))
            return {"node": node, "resources": [each for each in found if _concerns(each)]}
    raise NotFoundError(f"{node} is not connected to this controller")


def _concerns(resource: Mapping[str, Any]) -> bool:
    # A snapshot is for several kinds of use: what is not on demand, and nobody asked for, is for others.
    return resource["state"] != State.UNASKED or bool(resource["on_demand"])


def _resource(follower: Follower, resource: Resource, *, contents: bool) -> dict[str, Any]:
    subscription = follower.stream.subscriptions.get(resource.type_url)
    state, words = subscription.state(resource) if subscription else (State.UNASKED, "")
    return {
        "type": resource.type_url.rpartition(".")[2],
        "name": resource.name,
        "version": resource.version,
        "state": state.value,
        "message": words,
        "on_demand": resource.on_demand,
        **({"contents": rendering.redacted(resource)} if contents else {}),
    }
