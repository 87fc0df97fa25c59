"""Puts the guard below the egress Envoy in place, before Envoy starts, and takes it away after Envoy has stopped."""

import asyncio
import ipaddress

from outgate.firewall import guard
from outgate.firewall.apply import load
from outgate.host.plan import Layout
from outgate.xds import naming

LOG_GROUP = 0x6F68
"""The nflog group of what the guard refuses, in the host's own namespace."""


async def apply(layout: Layout) -> None:
    """Refuse the egress's sockets all special ranges but those that a setting allows."""
    settings = layout.settings
    allow = tuple(ipaddress.ip_network(each) for each in settings.guard_allow)
    text = guard.render(settings.mesh, naming.SOCKET_MARK, allow, LOG_GROUP)
    await asyncio.to_thread(load, text)


async def remove(layout: Layout) -> None:
    """Take the guard away."""
    await asyncio.to_thread(load, guard.remove(layout.settings.mesh))
