"""The guard below Envoy: where its connections to the outside may not go, whatever a name resolves to.

A declared name is an attacker's to point: at a metadata service, at the loopback, at the machine's own network. The
kernel refuses such destinations by the mark on the egress's sockets. A resource may name ranges that its own calls may
go to: then the mark on their sockets says which. One that the guard does not know yet is refused them all.
"""

from collections.abc import Iterable, Mapping

from outgate.firewall.rules import Network, collapsed, of_version
from outgate.traffic.special import REFUSED
from outgate.xds import naming

__all__ = ["REFUSED", "permitted", "remove", "render", "table"]


def table(mesh: str) -> str:
    """Return the name of a mesh's table."""
    return f"outgate_guard_{mesh.replace('-', '_')}"


def permitted(mesh: str, sets: Iterable[tuple[Network, ...]]) -> dict[int, tuple[Network, ...]]:
    """Return for each mark of a mesh what its sockets may reach; of sets that share one, what they share."""
    found: dict[int, frozenset[Network]] = {}
    for each in sets:
        mark, networks = naming.socket_mark(mesh, each), frozenset(each)
        found[mark] = found.get(mark, networks) & networks
    return {mark: tuple(sorted(found[mark], key=str)) for mark in sorted(found) if found[mark]}


def render(
    mesh: str,
    allow: Iterable[Network] = (),
    log_group: int | None = None,
    by_mark: Mapping[int, tuple[Network, ...]] | None = None,
) -> str:
    """Return the `nft -f` text that refuses our sockets all of `REFUSED` but `allow`, and those of a mark its own."""
    ours = f"meta mark & {naming.MARK_MASK:#x} != {naming.mark_of_mesh(mesh):#x}"
    lines = [f"    meta mark != {naming.SOCKET_MARK:#x} {ours} accept", *_accepted("", allow)]
    for mark, networks in (by_mark or {}).items():
        lines += _accepted(f"meta mark {mark:#x} ", networks)
    for version, name in ((4, "ip"), (6, "ip6")):
        special = ", ".join(map(str, of_version(REFUSED, version)))
        lines.append(f"    {name} daddr {{ {special} }} goto refused")
    refused = [
        "    meta l4proto tcp reject with tcp reset",
        "    reject with icmpx admin-prohibited",
    ]
    if log_group is not None:
        log = f'log prefix "outgate-guard" group {log_group} snaplen 128'
        refused.insert(0, f"    limit rate 20/second burst 50 packets {log}")
    return "\n".join(
        (
            remove(mesh).rstrip(),
            f"table inet {table(mesh)} {{",
            "  chain refused {",
            *refused,
            "  }",
            "  chain output {",
            "    type filter hook output priority 0; policy accept;",
            *lines,
            "  }",
            "}",
            "",
        )
    )


def _accepted(condition: str, networks: Iterable[Network]) -> list[str]:
    ranges = tuple(networks)
    return [
        f"    {condition}{name} daddr {{ {', '.join(map(str, chosen))} }} accept"
        for version, name in ((4, "ip"), (6, "ip6"))
        if (chosen := collapsed(of_version(ranges, version)))
    ]


def remove(mesh: str) -> str:
    """Return the text that takes the guard away, whether it is there or not."""
    return f"table inet {table(mesh)}\ndelete table inet {table(mesh)}\n"
