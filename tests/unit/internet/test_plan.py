from ipaddress import ip_address, ip_interface, ip_network

import pytest

from outgate.internet.plan import COUNT, Plan, Protocol


@pytest.mark.parametrize("index", range(COUNT))
def test_every_address_is_one_for_documentation(index: int) -> None:
    plan = Plan(index)
    documentation = ip_network("198.51.100.0/24"), ip_network("2001:db8::/32")
    for text in (*plan.host_addresses, *plan.server_addresses):
        address = ip_interface(text)
        assert any(address in network for network in documentation)
        assert address in plan.network4 or address in plan.network6


def test_no_two_share_an_address_or_a_name() -> None:
    plans = [Plan(index) for index in range(COUNT)]
    addresses = [a for plan in plans for a in (*plan.host_addresses, *plan.server_addresses)]
    assert len(set(addresses)) == len(addresses)
    assert len({plan.interface for plan in plans}) == COUNT


def test_interface_names_fit_into_the_kernels_fifteen_bytes() -> None:
    assert len(Plan(COUNT - 1).inner_interface) <= 15


@pytest.mark.parametrize("ipv6", [True, False])
def test_every_server_has_an_address_of_the_interface(ipv6: bool) -> None:
    plan = Plan(3, ipv6=ipv6)
    known = {str(ip_interface(text).ip) for text in plan.server_addresses}
    bound = [
        (address, server.port, server.protocol is Protocol.UDP_ECHO)
        for server in plan.servers()
        for address in server.addresses
    ]
    assert {address for address, _, _ in bound} <= known
    assert len(set(bound)) == len(bound)
    assert ("DNS", plan.resolver) in [
        (server.protocol.name, server.addresses[0]) for server in plan.servers()
    ]


def test_without_ipv6_nothing_mentions_it() -> None:
    plan = Plan(0, ipv6=False)
    texts = (*plan.host_addresses, *plan.server_addresses)
    assert all(ip_interface(text).version == 4 for text in texts)
    kinds = {
        kind for (name, kind) in plan.records() if name not in ("private.test", "metadata.test")
    }
    assert kinds == {"A"}


def test_the_names_that_tests_rely_on() -> None:
    records = Plan(0).records()
    for name in ("httpbin.org", "www.google.com", "tcp.test", "banner.test", "expired.test"):
        assert len(records[name, "A"]) == len(records[name, "AAAA"]) == 1
    assert ("v6only.test", "A") not in records
    assert not ip_address(records["private.test", "A"][0]).is_global
    assert records["metadata.test", "A"] == ("169.254.169.254",)


def test_one_of_two_is_dead_and_the_other_serves() -> None:
    plan = Plan(0)
    (httpbin,) = (server for server in plan.servers() if server.name == "httpbin")
    for kind in ("A", "AAAA"):
        served = [a in httpbin.addresses for a in plan.records()["two.test", kind]]
        assert served == [False, True]
    dead = plan.records()["two.test", "A"][0]
    assert f"{dead}/28" in plan.server_addresses


def test_the_unused_address_is_nobodys() -> None:
    plan = Plan(5)
    assert ip_address(plan.unused) in plan.network4
    assert f"{plan.unused}/28" not in (*plan.host_addresses, *plan.server_addresses)
