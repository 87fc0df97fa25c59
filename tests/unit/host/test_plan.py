import ipaddress
from pathlib import Path

import pytest

from outgate.firewall.guard import REFUSED
from outgate.host import plan
from outgate.host.plan import Layout
from outgate.model.names import Name
from outgate.settings import Settings

NAME = Name("ns", "p")


def test_meshes_of_different_names_share_no_namespace_table_or_link() -> None:
    one, other = Layout(Settings(mesh="one")), Layout(Settings(mesh="two"))
    assert one.netns(NAME) != other.netns(NAME)
    assert plan.masquerade("one") != plan.masquerade("two")
    assert plan.link(0, "one").device != plan.link(0, "two").device


def test_pods_of_different_namespaces_share_nothing() -> None:
    layout = Layout(Settings())
    a, b = Name("a", "p"), Name("b", "p")
    for path in (layout.pod, layout.netns, layout.pod_log):
        assert path(a) != path(b)


@pytest.mark.parametrize("index", [0, 1, 255, 16383])
def test_links_do_not_overlap_and_both_ends_are_in_one_network(index: int) -> None:
    link, following = plan.link(index, "m"), plan.link(index + 1, "m") if index < 16383 else None
    assert link.host.network == link.pod.network
    assert link.host6.network == link.pod6.network
    assert link.host.ip != link.pod.ip
    assert link.host.ip in plan.LINKS
    assert link.host6.ip in plan.LINKS6
    if following:
        assert not link.host.network.overlaps(following.host.network)
        assert not link.host6.network.overlaps(following.host6.network)


@pytest.mark.parametrize("mesh", ["a", "outgate", "fifteen-letters"])
def test_interface_names_fit_into_the_kernels_fifteen_bytes_and_stay_apart(mesh: str) -> None:
    names = [plan.link(index, mesh).device for index in range(0, 16384, 7)]
    assert max(len(each) for each in names) <= 15
    assert len(set(names)) == len(names)


def test_the_guard_refuses_what_links_use() -> None:
    for network in (plan.LINKS, plan.LINKS6):
        assert any(network.version == each.version and network.subnet_of(each) for each in REFUSED)  # type: ignore[arg-type]


def test_a_sealed_namespace_has_no_way_out() -> None:
    lines = plan.sealed_commands().split("\n")
    assert "route add local 0.0.0.0/0 dev lo" in lines
    assert "route add local ::/0 dev lo" in lines
    assert not any("default" in each or "veth" in each for each in lines)


def test_linked_pods_cannot_reach_each_other() -> None:
    text = plan.masquerade("m")
    assert f"ip saddr {plan.LINKS} ip daddr {plan.LINKS} drop" in text
    assert f"ip6 saddr {plan.LINKS6} ip6 daddr {plan.LINKS6} drop" in text


def test_short_names_are_completed_as_in_kubernetes() -> None:
    lines = plan.resolv_conf("ns", "cluster.local").splitlines()
    assert lines[:2] == [
        "nameserver 127.0.0.1",
        "search ns.svc.cluster.local svc.cluster.local cluster.local",
    ]


def test_a_pod_finds_itself_and_nothing_of_the_machine() -> None:
    lines = plan.hosts("p").splitlines()
    assert ipaddress.ip_address(lines[0].split()[0]).is_loopback
    assert all(line.split()[0] in ("127.0.0.1", "::1") for line in lines)
    assert all("p" in line.split() for line in lines)


def test_what_leads_to_the_host_is_hidden() -> None:
    first, second = plan.mounts((Path("/var/lib/outgate"),))
    assert " /run tmpfs " in first
    assert " /var/lib/outgate tmpfs " in first
    assert " /sys sysfs ro," in first
    assert "/proc/sys /proc/sys none bind,ro" in second


def test_a_command_keeps_no_capability_that_could_undo_the_capture() -> None:
    words = plan.enter_command(5, "/", None)
    (bounding,) = (each for each in words if each.startswith("--bounding-set="))
    kept = set(bounding.removeprefix("--bounding-set=").split(","))
    assert "-all" in kept
    assert (
        not {"+net_admin", "+net_raw", "+sys_admin", "+sys_ptrace", "+mknod", "+sys_module"} & kept
    )
    assert "--no-new-privs" in words
    assert "--reuid" not in words
    assert plan.enter_command(5, "/", (7, 8))[-6:] == [
        "--reuid",
        "7",
        "--regid",
        "8",
        "--clear-groups",
        "--",
    ]
