"""The node's links: one to the host, by which tests reach it, and one to a small internet, all that is outside.

The node's default route leads to the small internet: whatever a pod sends to wherever arrives there, and nothing leaves
this machine. The host forwards nothing.
"""

import subprocess
from pathlib import Path

from tests.cluster.commands import ENVIRONMENT, run
from tests.cluster.places import Place

_INTERNET = "internet"


def to_host(place: Place, node: Path) -> None:
    """Connect the node, by its network namespace, with the host, and lead the host to pods and Services."""
    end = f"link add {place.name} type veth peer name eth0 netns {node}"
    here = [f"{each[1]}/{each.prefixlen}" for each in place.link_nets]
    there = [f"{each[2]}/{each.prefixlen}" for each in place.link_nets]
    _batch(None, end, *_addresses(here, place.name))
    _batch(node, "link set lo up", *_addresses(there, "eth0"))
    behind = zip(place.link_nets * 2, (*place.pod_nets, *place.service_nets), strict=True)
    _batch(None, *(f"route add {net} via {link[2]}" for link, net in behind))


def to_internet(place: Place, node: Path, internet: Path) -> None:
    """Connect the node with the network namespace of a small internet, which learns where the pods are."""
    cut(node)
    end = f"link add {_INTERNET} type veth peer name {place.name} netns {internet}"
    here = [f"{each[2]}/{each.prefixlen}" for each in place.internet_nets]
    there = [f"{each[1]}/{each.prefixlen}" for each in place.internet_nets]
    _batch(node, end, *_addresses(here, _INTERNET))
    _batch(internet, *_addresses(there, place.name))
    _batch(node, *(f"route add default via {each[1]}" for each in place.internet_nets))
    back = zip(place.internet_nets * 2, (*place.pod_nets, *place.link_nets), strict=True)
    _batch(internet, *(f"route add {net} via {link[2]}" for link, net in back))


def cut(node: Path) -> None:
    """Take the link to a small internet away, if there is one."""
    _delete(node, _INTERNET)


def remove(place: Place) -> None:
    """Remove the link on the host, if there is one, and with it the other end and the routes."""
    _delete(None, place.name)


def _addresses(addresses: list[str], interface: str) -> list[str]:
    # No search for duplicates: the addresses are ours, and are to be there at once.
    lines = [f"address add {each} dev {interface}{' nodad' * (':' in each)}" for each in addresses]
    return [*lines, f"link set {interface} up"]


def _batch(namespace: Path | None, *lines: str) -> None:
    text = "".join(f"{each}\n" for each in lines)
    run(*_inside(namespace), "ip", "-batch", "-", text=text)


def _delete(namespace: Path | None, interface: str) -> None:
    command = (*_inside(namespace), "ip", "link", "delete", interface)
    subprocess.run(command, capture_output=True, check=False, env=ENVIRONMENT)


def _inside(namespace: Path | None) -> tuple[str, ...]:
    return ("nsenter", f"--net={namespace}") if namespace else ()
