"""Where the egress Envoys take tunnels, from the EndpointSlices of their Service. Without I/O."""

import ipaddress
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any

from outgate.xds import naming


class _State(IntEnum):
    """What an endpoint is good for, best first."""

    READY = 0
    LEAVING = 1
    """It is to end, and still takes calls."""
    UNREADY = 2


def chosen(slices: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return those that are ready; or else those that are to end but serve still, or else all.

    All being called unready at once is more often the judgement of a node in trouble than the truth.
    """
    found: dict[_State, set[str]] = {}
    for each in slices:
        family = "[{}]:{}" if each.get("addressType") == "IPv6" else "{}:{}"
        for endpoint in each.get("endpoints") or ():
            places = found.setdefault(_state(endpoint.get("conditions") or {}), set())
            for address in endpoint.get("addresses") or ():
                if _is_address(address):
                    places.add(family.format(address, naming.TUNNEL_PORT))
    return tuple(sorted(found[min(found)])) if found else ()


def _state(conditions: Mapping[str, Any]) -> _State:
    # What is not said counts as true (the API's own words).
    if conditions.get("ready") is not False:
        return _State.READY
    is_leaving = conditions.get("terminating") is True and conditions.get("serving") is not False
    return _State.LEAVING if is_leaving else _State.UNREADY


def _is_address(text: Any) -> bool:
    """Whether Envoy reads it as an address: one that it does not would cost sidecars all the others."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return isinstance(text, str)
