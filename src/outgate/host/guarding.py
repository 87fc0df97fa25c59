"""Puts the guard below the egress Envoy in place, before Envoy starts, and takes it away after Envoy has stopped."""

import asyncio
import ipaddress
from collections.abc import Iterable

from outgate.firewall import guard
from outgate.firewall.apply import load
from outgate.host.plan import Layout
from outgate.traffic.references import Network

LOG_GROUP = 0x6F68
"""The nflog group of what the guard refuses, in the host's own namespace."""


async def apply(layout: Layout, private: Iterable[tuple[Network, ...]] = ()) -> None:
    """Refuse the egress's sockets all special ranges but those that a setting allows, and each of `private` its own.

    At once: a packet meets the rules that were, or these.
    """
    settings = layout.settings
    allow = tuple(ipaddress.ip_network(each) for each in settings.guard_allow)
    text = guard.render(settings.mesh, allow, LOG_GROUP, guard.permitted(settings.mesh, private))
    await asyncio.to_thread(load, text)


async def remove(layout: Layout) -> None:
    """Take the guard away."""
    await asyncio.to_thread(load, guard.remove(layout.settings.mesh))
