"""Ends connections whose destination is no longer declared.

Envoy looks a connection's destination up when it opens; one that is open stays open when its cluster goes. For HTTP the
next request is refused, but a raw connection would live on: its sockets in the pods are closed by the kernel.
"""

import asyncio
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from outgate.host.commands import inside, run

_BY_ADDRESS = re.compile(r"tcp\|\[?([0-9a-f.:]+?)\]?:(\d+)$")


def addresses(clusters: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Return the virtual addresses and ports behind the names of clusters; those of HTTP have none."""
    found = (_BY_ADDRESS.match(name) for name in clusters)
    return tuple(sorted({(each[1], int(each[2])) for each in found if each}))


async def cut(clusters: Sequence[str], namespaces: Sequence[Path]) -> None:
    """Close the connections from `namespaces` to the addresses of `clusters`."""
    targets = addresses(clusters)
    if not targets:
        return
    expression = " or ".join(f"( dst {_quoted(ip)} and dport = :{port} )" for ip, port in targets)
    await asyncio.gather(
        *(
            run(*inside(each, ["ss", "-K", "-H", "-t", expression]), check=False)
            for each in namespaces
        )
    )


def _quoted(address: str) -> str:
    return f"[{address}]" if ":" in address else address
