"""What DestinationRules mean: how the egress connects to what others declare."""

from typing import Any

import pytest
from tests.unit.model.istio.meaning import (
    API,
    ENTRY,
    assembled,
    errors,
    found,
    made,
    parsed,
    policy,
    port,
    told,
)

from outgate.model.deriving import declare, source_of
from outgate.traffic.references import FileKey, SecretKey
from outgate.traffic.upstream import (
    Algorithm,
    Balancing,
    Breakers,
    Hash,
    HashKey,
    Outlier,
    Pool,
    Tls,
)


def test_tls_origination_is_for_its_port_alone() -> None:
    tls = {"mode": "SIMPLE", "sni": "sni.example.com"}
    settings = [{"port": {"number": 80}, "tls": tls}]
    destination_rule = made(
        "DestinationRule",
        {
            "host": API,
            "trafficPolicy": {
                "portLevelSettings": settings,
                "connectionPool": {"tcp": {"maxConnections": 7}},
            },
        },
    )
    assert port(80, destination_rule).upstream.tls == Tls(sni="sni.example.com")
    # What holds for all ports is not inherited by one that has its own.
    assert port(80, destination_rule).upstream.breakers is None
    assert port(443, destination_rule).upstream.tls is None
    assert port(443, destination_rule).upstream.breakers == Breakers(connections=7)


def test_names_of_an_entry_are_expected_of_tls_that_a_rule_opens() -> None:
    entry = made("ServiceEntry", {**ENTRY, "subjectAltNames": ["san.example.com"]})
    destination_rule = made(
        "DestinationRule", {"host": API, "trafficPolicy": {"tls": {"mode": "SIMPLE"}}}
    )
    opened = found(assembled(entry, destination_rule)).ports[0].upstream.tls
    assert opened == Tls(names=("san.example.com",))
    assert found(assembled(entry)).ports[0].upstream.tls is None


def test_mutual_tls_takes_a_secret_of_its_own_namespace() -> None:
    assert policy(tls={"mode": "MUTUAL", "credentialName": "client"}).tls == Tls(
        ca=SecretKey("default", "client", "ca.crt"),
        certificate=SecretKey("default", "client", "tls.crt"),
        key=SecretKey("default", "client", "tls.key"),
    )


def test_mutual_tls_takes_files() -> None:
    files = {"clientCertificate": "/c.pem", "privateKey": "/k.pem", "caCertificates": "/ca.pem"}
    assert policy(tls={"mode": "MUTUAL", **files}).tls == Tls(
        ca=FileKey("/ca.pem"), certificate=FileKey("/c.pem"), key=FileKey("/k.pem")
    )


def test_verification_is_off_only_where_it_is_said() -> None:
    assert policy(tls={"mode": "SIMPLE"}).tls == Tls(verify=True)
    assert policy(tls={"mode": "SIMPLE", "insecureSkipVerify": True}).tls == Tls(verify=False)


def test_pools_and_outliers() -> None:
    upstream = policy(
        connectionPool={
            "tcp": {
                "maxConnections": 1,
                "connectTimeout": "1.5s",
                "tcpKeepalive": {"time": "1m", "interval": "10s", "probes": 3},
                "maxConnectionDuration": "1h",
            },
            "http": {
                "http1MaxPendingRequests": 2,
                "http2MaxRequests": 3,
                "maxRequestsPerConnection": 4,
                "maxRetries": 5,
                "idleTimeout": "1m30s",
                "maxConcurrentStreams": 6,
            },
        },
        outlierDetection={
            "consecutive5xxErrors": 0,
            "consecutiveGatewayErrors": 7,
            "interval": "5s",
        },
        loadBalancer={"consistentHash": {"httpCookie": {"name": "c", "ttl": "0s"}}},
    )
    assert upstream.breakers == Breakers(1, 2, 3, 5)
    assert upstream.pool == Pool(
        1.5, 90.0, 3600.0, 4, 6, keepalive_time=60.0, keepalive_interval=10.0, keepalive_probes=3
    )
    assert upstream.outlier == Outlier(0, 7, interval=5.0)
    assert upstream.balancing == Balancing(Algorithm.RING_HASH, (Hash(HashKey.COOKIE, "c", 0.0),))


def test_a_service_can_have_rules_and_tunings() -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "bin", "namespace": "default"},
        "spec": {
            "type": "ExternalName",
            "externalName": "httpbin.org",
            "ports": [{"port": 80, "name": "http"}],
        },
    }
    http = [{"timeout": "1s", "route": [{"destination": {"host": "bin"}}]}]
    for host in ("bin", "bin.default.svc.cluster.local", "bin.default.svc"):
        effective = found(
            assembled(
                service,
                made("VirtualService", {"hosts": [host], "http": http}),
                made(
                    "DestinationRule",
                    {"host": host, "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}},
                ),
            ),
            "bin",
        )
        assert effective.rules[0].timeouts.request == 1.0
        assert effective.ports[0].upstream.balancing == Balancing(Algorithm.RANDOM)


def test_tls_that_is_not_opened_as_the_application_speaks_it_is_told() -> None:
    rule = made("DestinationRule", {"host": API, "trafficPolicy": {"tls": {"mode": "SIMPLE"}}})
    assembly = assembled(made("ServiceEntry", ENTRY), rule)
    assert told(assembly, "DestinationRule") == [
        (
            "spec.host",
            f"port 443 of {API} passes on the application's own TLS: none is opened there",
        )
    ]


def test_a_copy_goes_where_a_rule_opens_tls_by_tls_too() -> None:
    """A mirror's cluster is made from what is known of the peer: it must not be plain where calls are not."""
    other = made("ServiceEntry", {**ENTRY, "hosts": ["b.example.com"]}, "other")
    http = [{"mirror": {"host": "b.example.com"}, "route": [{"destination": {"host": API}}]}]
    service = made("VirtualService", {"hosts": [API], "http": http})
    rule = made(
        "DestinationRule", {"host": "b.example.com", "trafficPolicy": {"tls": {"mode": "SIMPLE"}}}
    )
    assembly = assembled(made("ServiceEntry", ENTRY), other, service)
    assert [each.port.upstream.tls for each in found(assembly).peers] == [None, None]
    later = parsed(rule)
    assembly.update([(source_of(each), declare(each)) for each in later.every()])
    assert [each.port.upstream.tls for each in found(assembly).peers] == [Tls(), Tls()]


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (
            {"host": API, "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}},
            "spec.trafficPolicy.tls.mode",
        ),
        ({"host": API, "trafficPolicy": {"tls": {"mode": "MUTUAL"}}}, "spec.trafficPolicy.tls"),
        ({"host": API, "workloadSelector": {"matchLabels": {"a": "b"}}}, "spec.workloadSelector"),
        (
            {"host": API, "trafficPolicy": {"connectionPool": {"tcp": {"connectTimeout": "5"}}}},
            "spec.trafficPolicy.connectionPool.tcp.connectTimeout",
        ),
    ],
)
def test_what_would_open_or_break_something_is_refused(spec: Any, path: str) -> None:
    assert [each for each, _ in errors(made("DestinationRule", spec))] == [path]
