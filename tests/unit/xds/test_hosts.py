"""What is programmed for hosts, which several namespaces may declare, and for wildcards."""

import re
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from tests.golden.bootstraps import static

from outgate.envoy import binary
from outgate.envoy.validate import validate
from outgate.model.addresses import Region, holder
from outgate.model.destinations import Destination, External, Port
from outgate.model.names import Name
from outgate.settings import Settings
from outgate.traffic.references import Protocol, Target
from outgate.traffic.routing import Backend, Rule
from outgate.traffic.upstream import Proxy, ProxyKind
from outgate.traffic.upstream import Upstream as Said
from outgate.xds import egress, listeners, naming, private, rendering, tunnels
from outgate.xds.clusters import Upstream
from outgate.xds.consistency import dangling, unreachable
from outgate.xds.egress import Callers, Delta, Programmed, Site
from outgate.xds.snapshot import Snapshot

SITE = Site("/log", "/tunnel", 5353, 5354, ("192.0.2.53",))
UPSTREAM = Upstream(Settings(), "/etc/ssl/certs/ca-certificates.crt", (), marked=False)
HOST = "api.example.com"
NOTHING = Programmed()
HTTPS, TLS, TCP = (
    Port(80, Protocol.HTTPS, target=443),
    Port(443, Protocol.TLS),
    Port(5432, Protocol.TCP),
)


def external(
    namespace: str, *ports: Port, host: str = HOST, visible: Iterable[str] | None = ()
) -> External:
    """In sight of its own namespace; `visible` None is for all."""
    seen = None if visible is None else frozenset((namespace, *visible))
    return External(Name(namespace, host), host, ports, "", seen, source="externalservice/x")


def program(
    *changed: Destination,
    before: Programmed = NOTHING,
    spaces: Iterable[str] = ("a", "b", "c"),
) -> tuple[Programmed, Delta]:
    callers = Callers(frozenset(spaces))
    return egress.program(before, changed, (), SITE, UPSTREAM, callers)


def snapshot(programmed: Programmed) -> Snapshot:
    made = (each for several in programmed.resources.values() for each in several)
    scopes = programmed.scopes.made.values()
    shared = egress.shared(SITE, UPSTREAM)
    tunnels_end = listeners.capture(Settings(), SITE.log, programmed.known)
    return Snapshot().replace((*shared, tunnels_end, *made, *scopes, *programmed.at_addresses))


def clusters(programmed: Programmed) -> set[str]:
    shown = rendering.render(snapshot(programmed))
    return {
        each["name"].replace("240.240.", "V.").partition("V.")[0] or each["name"]
        for each in (*shown["clusters"], *shown.get("clusters_on_demand", ()))
        if each["name"].partition("|")[0].partition("@")[0] in ("tcp", "tls", "sni", "http")
        and "[" not in each["name"]
    }


def region(programmed: Programmed, name: str = HOST) -> Region:
    return programmed.allocation.claims[holder(Name("a", name))].region


def virtual_hosts(programmed: Programmed) -> dict[str, list[tuple[str, str]]]:
    """By scope and host: clusters, and the callers that see each; `!`: all others but those."""
    found = {}
    for scope in rendering.render(snapshot(programmed))["scoped_routes"]:
        for host in scope["route_configuration"]["virtual_hosts"]:
            found[f"{scope['name']}: {host['name']}"] = [
                (each["route"]["cluster"], _callers(each)) for each in host["routes"]
            ]
    return found


def _callers(route: dict[str, Any]) -> str:
    for each in route["match"]["headers"]:
        if each["name"] == naming.NAMESPACE_HEADER:
            sign = "!" if each.get("invert_match") else ""
            return sign + str(each["string_match"]["exact"])
    return "all"


@pytest.mark.parametrize(
    ("destinations", "expected"),
    [
        ([external("a", HTTPS)], Region.HTTP),
        ([external("a", HTTPS, TLS, visible=None)], Region.HTTP),
        ([external("a", HTTPS, TLS)], Region.SNI_LOCAL),
        ([external("a", TCP, TLS, visible=None)], Region.RAW),
        ([external("a", TCP)], Region.RAW_LOCAL),
        ([external("a", TLS, visible=None), external("b", TLS)], Region.SNI_LOCAL),
        ([external("a", HTTPS), external("b", TCP, visible=None)], Region.RAW_LOCAL),
    ],
)
def test_the_address_says_how_a_connection_is_found(
    destinations: list[External], expected: Region
) -> None:
    programmed, _ = program(*destinations)
    assert region(programmed) is expected
    assert dangling(snapshot(programmed)) == []
    assert unreachable(snapshot(programmed), programmed) == []


def test_tls_is_found_by_its_server_name_and_by_the_caller_where_not_all_see_it() -> None:
    assert "tls|api.example.com:443" in clusters(program(external("a", TLS, visible=None))[0])
    found = clusters(program(external("a", TLS, visible=("b",)))[0])
    assert found == {"tls@a|api.example.com:443", "tls@b|api.example.com:443"}


def test_a_server_name_cannot_name_another_namespace() -> None:
    """A client sends `a|api.example.com` where all see what is found: it stands behind the first bar."""
    local = clusters(program(external("a", TLS))[0])
    everywhere = naming.tls_prefix()
    assert not any(each.startswith(everywhere) for each in local)


def test_two_namespaces_lead_to_their_own_and_all_others_to_the_one_for_all() -> None:
    programmed, _ = program(external("a", TLS, HTTPS), external("b", TLS, HTTPS, visible=None))
    assert {each for each in clusters(programmed) if each.startswith("tls")} == {
        "tls@a|api.example.com:443",
        "tls@b|api.example.com:443",
        "tls@c|api.example.com:443",
    }
    assert virtual_hosts(programmed) == {
        "api.example: api.example.com": [
            ("http|api.example.com.a|80", "a"),
            ("http|api.example.com.b|80", "!a"),
        ]
    }


def test_a_namespace_that_comes_finds_what_is_for_all() -> None:
    before, _ = program(external("a", TLS), external("b", TLS, visible=None))
    after, delta = program(before=before, spaces=("a", "b", "c", "d"))
    assert {each.name for each in delta.changed} == {"tls@d|api.example.com:443"}
    assert unreachable(snapshot(after), after) == []


def test_a_change_of_one_renders_those_with_the_same_labels_and_no_others() -> None:
    before, _ = program(
        external("a", HTTPS),
        external("a", HTTPS, host="api.example.org"),
        external("a", HTTPS, host="x.test"),
    )
    _, delta = program(external("a", Port(81, Protocol.HTTP)), before=before)
    assert {each.name for each in delta.changed} == {
        "api.example",
        "http|api.example.com.a|81",
        naming.CAPTURE,
    }


def test_a_host_that_is_spelled_as_a_service_is_leaves_it_alone() -> None:
    service = External(Name("com", "example"), "h.test", (Port(80, Protocol.HTTP),))
    found = virtual_hosts(program(service, external("a", HTTPS, host="example.com"))[0])
    assert found == {"example.com: example.com": [("http|example.com|80", "all")]}


@pytest.mark.parametrize("host", ["x.ns.svc.cluster.local", "*.local", "*.svc.cluster.local"])
def test_no_host_answers_for_services_names(host: str) -> None:
    programmed, _ = program(external("a", HTTPS, host=host))
    assert programmed.records == {}


def test_several_ports_of_one_host_are_side_by_side() -> None:
    programmed, _ = program(external("a", HTTPS, TLS, TCP))
    found = clusters(programmed)
    assert {"tls@a|api.example.com:443", "http|api.example.com.a|80"} <= found
    shown = {each["name"]: each for each in rendering.render(snapshot(programmed))["clusters"]}
    address = programmed.allocation.address(Name("a", HOST))
    assert address is not None
    late = shown[naming.raw_cluster(address.ipv4, 443, "a")]
    inner = late["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
    assert inner["envoy_internal_address"]["server_listener_name"] == naming.LATE


def test_rules_that_lead_elsewhere_fetch_what_is_not_there() -> None:
    rule = Rule(backends=(Backend(Target("a", "other.test")),))
    programmed, _ = program(
        replace(external("a", HTTPS), rules=(rule,)), external("a", HTTPS, host="x.test")
    )
    fetching = {
        scope["name"]
        for scope in rendering.render(snapshot(programmed))["scoped_routes"]
        if any(
            naming.ON_DEMAND in each.get("typed_per_filter_config", {})
            for each in scope["route_configuration"]["virtual_hosts"]
        )
    }
    assert fetching == {"api.example"}


def test_tunnels_tell_plain_tcp_by_the_address() -> None:
    for region in Region:
        for network in region.networks:
            for ip in (network[1], network[-2]):
                raw = re.fullmatch(tunnels._RAW_AUTHORITY, naming.host_port(ip, 80))
                assert bool(raw) is region.is_raw, ip


class TestWildcards:
    WILD = external("a", HTTPS, TLS, host="*.example.com")

    def test_each_has_a_listener_of_its_own(self) -> None:
        programmed, _ = program(self.WILD)
        assert region(programmed, "*.example.com") is Region.RAW_LOCAL
        assert {"sni|*.example.com.a|443", "http|*.example.com.a|80"} <= clusters(programmed)
        (own,) = (
            each
            for each in rendering.render(snapshot(programmed))["listeners"]
            if each["name"] == "wild|a|*.example.com"
        )
        assert {each["name"] for each in own["filter_chains"]} == {"https-80", "tls-443"}
        assert unreachable(snapshot(programmed), programmed) == []

    def test_a_name_below_it_that_another_namespace_declares_is_still_found(self) -> None:
        programmed, _ = program(self.WILD, external("b", HTTPS))
        assert virtual_hosts(programmed)["api.example: api.example.com"] == [
            ("http|api.example.com.b|80", "b"),
            ("http|api.example.com.a|80", "a"),
        ]
        # Whichever comes first.
        other, _ = program(self.WILD, before=program(external("b", HTTPS))[0])
        assert other.scopes == programmed.scopes

    def test_its_clusters_are_there_from_the_start(self) -> None:
        eager = replace(UPSTREAM, settings=Settings(eager_services=0))
        others = external("a", HTTPS)
        made, _ = egress.program(NOTHING, [self.WILD, others], (), SITE, eager)
        on_demand = [each.name for one in made.resources.values() for each in one if each.on_demand]
        assert on_demand == ["http|api.example.com.a|80"]

    def test_when_it_goes_its_part_of_others_goes(self) -> None:
        programmed, _ = program(self.WILD, external("b", HTTPS))
        after, _ = egress.program(programmed, (), [self.WILD.name], SITE, UPSTREAM)
        assert after == program(external("b", HTTPS))[0]


class TestAddresses:
    HERE = replace(external("a", HTTPS, TLS, TCP), networks=(ip_network("203.0.113.0/24"),))

    def test_what_is_called_by_address_is_there_and_goes_again(self) -> None:
        programmed, delta = program(self.HERE)
        assert programmed.known.networks == self.HERE.networks
        assert {naming.ADDRESS, naming.CAPTURE} <= {each.name for each in delta.changed}
        assert dangling(snapshot(programmed)) == []
        after, delta = egress.program(programmed, (), [self.HERE.name], SITE, UPSTREAM)
        assert after.at_addresses == ()
        assert {name for _, name in delta.removed} >= {naming.ADDRESS}

    def test_another_namespaces_own_comes_first(self) -> None:
        other = replace(self.HERE, name=Name("b", HOST), visible=None)
        programmed, _ = program(self.HERE, other)
        (listener,) = (
            each
            for each in rendering.render(snapshot(programmed))["listeners"]
            if each["name"] == naming.ADDRESS
        )
        matchers = listener["filter_chain_matcher"]["matcher_list"]["matchers"]
        chosen = [each["on_match"]["action"]["name"] for each in matchers]
        own = f"address|{HOST}@address.b|5432"
        # The last of these two is for whoever has none of their own.
        assert chosen.count(own) == 2
        assert "and_matcher" in matchers[chosen.index(own)]["predicate"]

    def test_a_change_elsewhere_leaves_it_alone(self) -> None:
        before, _ = program(self.HERE)
        _, delta = program(external("a", HTTPS, host="x.test"), before=before)
        assert naming.ADDRESS not in {each.name for each in delta.changed}

    def test_private_networks_are_for_the_guard(self) -> None:
        ranges = (ip_network("10.1.0.0/16"),)
        assert private.of(replace(self.HERE, networks=ranges)) == frozenset([ranges])
        assert private.of(self.HERE) == frozenset()


@pytest.mark.envoy
def test_envoy_accepts_it(tmp_path: Path) -> None:
    proxied = Said(proxy=Proxy(ProxyKind.HTTP, "proxy.test", 3128))
    programmed, _ = program(
        external("a", HTTPS, TLS, TCP),
        external("b", HTTPS, TLS, visible=None),
        external("a", HTTPS, TLS, Port(8080, Protocol.HTTP), host="*.example.com"),
        external("b", HTTPS, host="*.example.com", visible=None),
        external("b", Port(80, Protocol.HTTPS, target=8443, upstream=proxied), host="*.p.test"),
        external("b", Port(443, Protocol.TLS, upstream=proxied), host="*.q.test"),
    )
    programmed, _ = program(
        TestAddresses.HERE,
        replace(TestAddresses.HERE, name=Name("b", HOST), visible=frozenset("bc")),
        before=programmed,
    )
    assert dangling(snapshot(programmed)) == []
    assert unreachable(snapshot(programmed), programmed) == []
    shown = rendering.render(snapshot(programmed))
    validate(binary.find(), static(shown, tmp_path))
