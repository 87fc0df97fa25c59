"""What the kernel says of a namespace's routes, and what of that is on its links."""

import subprocess
import sys
from ipaddress import IPv6Network

import pytest

from outgate.firewall import neighbours

SCRIPT = """
ip link set lo up
ip link add eth0 type veth peer name other
ip address add fd00:1::2/126 dev eth0 nodad
ip address add fd00:2::2/128 dev eth0 nodad
ip link set eth0 up
ip link set other up
ip route add default via fd00:1::1
ip route add fd00:3::/64 via fd00:1::1
ip route add fd00:4::/64 dev eth0
"""


@pytest.mark.root
def test_networks_of_links_and_no_others() -> None:
    python = "from outgate.firewall import neighbours; print(*neighbours.here())"
    script = f"set -e\n{SCRIPT}\n{sys.executable} -c '{python}'"
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        check=True,
    )
    found = done.stdout.split()
    assert found == ["fd00:1::/126", "fd00:2::2/128", "fd00:4::/64", "fe80::/64"]


def test_a_default_route_says_nothing() -> None:
    zero, one = "0" * 32, "fe80" + "0" * 27 + "1"
    lines = (
        f"{zero} 00 {zero} 00 {zero} 00000400 00000001 00000000 00000001 eth0",
        f"{zero} 00 {zero} 00 {one} 00000400 00000001 00000000 00000003 eth0",
        f"ff{zero[2:]} 08 {zero} 00 {zero} 00000100 00000001 00000000 00000001 eth0",
        f"fd{zero[2:]} 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001 eth0",
    )
    assert neighbours.on_link("\n".join(lines)) == (IPv6Network("fd00::/64"),)


def test_without_ipv6_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "ROUTES", neighbours.ROUTES.with_name("no-such-file"))
    assert neighbours.here() == ()
