"""What is said of an upstream, as clusters have it; that Envoy does it, tests/e2e/upstream shows."""

import ipaddress
from typing import Any

import pytest

from outgate.model.destinations import External, Port
from outgate.model.names import Name
from outgate.settings import Settings
from outgate.traffic import upstream as traffic
from outgate.traffic.references import Protocol
from outgate.traffic.upstream import (
    Balancing,
    Breakers,
    Endpoint,
    Health,
    Outlier,
    Probe,
    Proxy,
    ProxyKind,
    Resolution,
    Tls,
)
from outgate.xds import clusters, naming
from outgate.xds.clusters import Upstream
from outgate.xds.rendering import decode

SITE = Upstream(Settings(), "/ca.pem")
HOST = "h.example.com"
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def made(
    protocol: Protocol = Protocol.HTTP, host: str = HOST, **said: Any
) -> dict[str, dict[str, Any]]:
    port = Port(80, protocol, upstream=traffic.Upstream(**said))
    service = External(Name("ns", host), host, (port,))
    return {each.name: decode(each) for each in clusters.to_port("c", service, port, SITE)}


def cluster(protocol: Protocol = Protocol.HTTP, host: str = HOST, **said: Any) -> dict[str, Any]:
    return made(protocol, host, **said)["c"]


def mark(found: dict[str, Any]) -> int:
    (option,) = found["upstream_bind_config"]["socket_options"]
    return int(option["int_value"])


@pytest.mark.parametrize(
    ("said", "single"),
    [
        ({}, True),
        ({"endpoints": (Endpoint("a.test"),)}, True),
        ({"endpoints": (Endpoint("a.test"), Endpoint("b.test"))}, False),
        ({"balancing": Balancing()}, False),
        ({"outlier": Outlier()}, False),
        ({"health": Health(Probe.TCP)}, False),
    ],
)
def test_addresses_of_one_name_are_told_apart_where_something_tells_them_apart(
    said: dict[str, Any], *, single: bool
) -> None:
    dns = cluster(**said)["cluster_type"]["typed_config"]
    assert dns.get("all_addresses_in_single_endpoint", False) is single
    assert dns["dns_lookup_family"] == ("ALL" if single else "V4_PREFERRED")


@pytest.mark.parametrize(
    ("endpoints", "resolution"),
    [((Endpoint("192.0.2.1"), Endpoint("2001:db8::1")), None), ((Endpoint("192.0.2.1"),), Resolution.STATIC)],
)  # fmt: skip
def test_addresses_are_not_asked_of_the_dns(
    endpoints: tuple[Endpoint, ...], resolution: Resolution | None
) -> None:
    found = cluster(endpoints=endpoints, resolution=resolution)
    assert found["type"] == "STATIC"
    assert "cluster_type" not in found


def test_priorities_may_have_gaps_and_come_in_any_order() -> None:
    ends = (Endpoint("192.0.2.9", priority=9), Endpoint("192.0.2.1", priority=3))
    groups = cluster(endpoints=ends)["load_assignment"]["endpoints"]
    assert [each.get("priority", 0) for each in groups] == [0, 1]
    first = groups[0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]["address"]
    assert first == "192.0.2.1"


def test_a_switched_off_verification_is_loud() -> None:
    found = cluster(Protocol.HTTPS, tls=Tls(verify=False))
    assert "not verified" in found["metadata"]["filter_metadata"]["outgate"]["insecure"]
    assert "insecure" not in str(cluster(Protocol.HTTPS))


def test_what_the_application_encrypts_has_no_second_tls() -> None:
    assert "transport_socket" not in cluster(Protocol.TLS, tls=Tls())


@pytest.mark.parametrize(
    ("breakers", "retries"),
    [
        (Breakers(), {"retry_budget": {"budget_percent": {"value": 20.0}, "min_retry_concurrency": 3}}),
        (Breakers(retries=7), {"max_retries": 7}),
        (
            Breakers(retries=7, retry_budget=50.0),
            {"retry_budget": {"budget_percent": {"value": 50.0}, "min_retry_concurrency": 7}},
        ),
    ],
)  # fmt: skip
def test_retries_have_a_limit_or_a_budget(breakers: Breakers, retries: dict[str, Any]) -> None:
    (found,) = cluster(breakers=breakers)["circuit_breakers"]["thresholds"]
    assert {key: found[key] for key in found if "retr" in key} == retries


@pytest.mark.parametrize(
    ("outlier", "enforced"),
    [
        (Outlier(), {"consecutive_5xx": 5}),
        (Outlier(consecutive_errors=2), {"consecutive_5xx": 2}),
        (Outlier(consecutive_gateway_errors=2), {"consecutive_gateway_failure": 2}),
        (Outlier(consecutive_local_failures=2), {"consecutive_local_origin_failure": 2}),
        (Outlier(consecutive_errors=0), {}),
    ],
)
def test_only_the_errors_that_are_said_take_an_endpoint_out(
    outlier: Outlier, enforced: dict[str, int]
) -> None:
    found = cluster(outlier=outlier)["outlier_detection"]
    assert {key: value for key, value in found.items() if key.startswith("consecutive")} == enforced
    assert found["enforcing_consecutive_5xx"] == (100 if "consecutive_5xx" in enforced else 0)


def test_private_ranges_are_in_the_mark_and_those_of_a_proxy_too() -> None:
    ten = ipaddress.ip_network("10.0.0.0/8")
    proxy = ipaddress.ip_network("10.0.0.1/32")
    assert mark(cluster()) == naming.SOCKET_MARK
    assert mark(cluster(private=(ten,))) == naming.socket_mark("outgate", (ten,))
    found = cluster(proxy=Proxy(ProxyKind.HTTP, "10.0.0.1", 3128))
    assert mark(found) == naming.socket_mark("outgate", (proxy,))
    by_name = made(proxy=Proxy(ProxyKind.HTTP, "proxy.test", 3128), private=(ten,))
    assert "upstream_bind_config" not in by_name["c"]
    clusters_made = [each for each in by_name.values() if "connect_timeout" in each]
    assert [mark(each) for each in clusters_made if each["name"] != "c"] == [
        naming.socket_mark("outgate", (ten,))
    ]


@pytest.mark.parametrize(
    ("tls", "asked"),
    [
        (Tls(), (True, True)),
        (Tls(names=("a.test",)), (True, False)),
        (Tls(sni="a.test"), (False, True)),
        (Tls(verify=False), (True, False)),
    ],
)
def test_a_wildcard_takes_from_the_call_what_is_not_said(
    tls: Tls, asked: tuple[bool, bool]
) -> None:
    found = cluster(Protocol.HTTPS, "*.example.com", tls=tls)
    taken = found["typed_extension_protocol_options"][OPTIONS]["upstream_http_protocol_options"]
    assert (taken.get("auto_sni", False), taken.get("auto_san_validation", False)) == asked


def test_a_proxy_that_envoy_cannot_speak_to_leads_nowhere() -> None:
    found = made(proxy=Proxy(ProxyKind.SOCKS5, "192.0.2.1", 1080))
    assert list(found) == ["c"]
    assert "endpoints" not in found["c"]["load_assignment"]
