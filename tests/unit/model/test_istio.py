"""What Istio's resources mean together: the effective destinations."""

from typing import Any

import pytest
import yaml

from outgate.model.assembling import Assembly
from outgate.model.declarations import Source
from outgate.model.deriving import declare, source_of
from outgate.model.destinations import External, Port
from outgate.model.names import Name
from outgate.resources.istio.resilience import DEFAULT_RETRIES
from outgate.resources.kinds import Resources, parse
from outgate.resources.manifests import read
from outgate.resources.problems import Severity
from outgate.traffic.references import FileKey, Protocol, SecretKey, Target
from outgate.traffic.routing import (
    Answer,
    Backend,
    Comparison,
    Edits,
    Fault,
    Field,
    Match,
    Mirror,
    Redirect,
    Retries,
    Rewrite,
    Rule,
    Text,
)
from outgate.traffic.upstream import (
    Algorithm,
    Balancing,
    Breakers,
    Endpoint,
    Hash,
    HashKey,
    Outlier,
    Pool,
    Resolution,
    Tls,
    Upstream,
)

API = "api.example.com"
ENTRY = {
    "hosts": [API],
    "ports": [
        {"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 443},
        {"number": 443, "name": "https", "protocol": "HTTPS"},
    ],
    "resolution": "DNS",
}


def made(kind: str, spec: Any, name: str = "it", namespace: str = "default") -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def parsed(*documents: dict[str, Any]) -> Resources:
    return parse(read(yaml.safe_dump_all(documents), "-").documents)


def assembled(*documents: dict[str, Any]) -> Assembly:
    resources = parsed(*documents)
    assert [each for each in resources.problems if each.severity is Severity.ERROR] == []
    assembly = Assembly()
    assembly.update([(source_of(each), declare(each)) for each in resources.every()])
    return assembly


def found(assembly: Assembly, host: str = API, namespace: str = "default") -> External:
    destination = assembly.effective[Name(namespace, host)]
    assert isinstance(destination, External)
    return destination


def port(number: int, *documents: dict[str, Any]) -> Port:
    entry = made("ServiceEntry", ENTRY)
    return next(each for each in found(assembled(entry, *documents)).ports if each.number == number)


def rules(http: Any, **spec: Any) -> tuple[Rule, ...]:
    entry = made("ServiceEntry", ENTRY)
    other = made("ServiceEntry", {**ENTRY, "hosts": ["b.example.com"]}, "other")
    service = made("VirtualService", {"hosts": [API], "http": http, **spec})
    return found(assembled(entry, other, service)).rules


def rule(route: Any) -> Rule:
    return rules([{"route": [{"destination": {"host": API}}], **route}])[0]


def policy(**policy: Any) -> Upstream:
    destination_rule = made("DestinationRule", {"host": API, "trafficPolicy": policy})
    return port(80, destination_rule).upstream


def errors(*documents: dict[str, Any]) -> list[tuple[str, str]]:
    problems = parsed(*documents).problems
    return [(each.path, each.message) for each in problems if each.severity is Severity.ERROR]


def test_an_entry_declares_each_of_its_hosts_for_all_namespaces() -> None:
    spec = {**ENTRY, "hosts": [API, "*.Example.org"], "resolution": "NONE"}
    assembly = assembled(made("ServiceEntry", spec))
    assert found(assembly).visible is None
    assert found(assembly, "*.example.org").host == "*.example.org"
    ports = [(each.number, each.protocol, each.outside) for each in found(assembly).ports]
    # Istio's HTTPS is the application's own TLS.
    assert ports == [(80, Protocol.HTTP, 443), (443, Protocol.TLS, 443)]


@pytest.mark.parametrize(
    ("export", "visible"),
    [
        (None, None),
        (["*"], None),
        (["."], {"default"}),
        ([".", "team"], {"default", "team"}),
        (["~"], set()),
    ],
)
def test_visibility(export: Any, visible: set[str] | None) -> None:
    destination = found(assembled(made("ServiceEntry", {**ENTRY, "exportTo": export})))
    assert destination.visible == visible


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("http", Protocol.HTTP),
        ("GRPC", Protocol.GRPC),
        ("TLS", Protocol.TLS),
        ("MONGO", Protocol.TCP),
    ],
)
def test_protocols(protocol: str, expected: Protocol) -> None:
    ports = [{"number": 80, "name": "p", "protocol": protocol}]
    assert (
        found(assembled(made("ServiceEntry", {**ENTRY, "ports": ports}))).ports[0].protocol
        is expected
    )


def test_static_endpoints_have_their_own_ports_and_may_be_private() -> None:
    endpoints = [
        {"address": "10.1.2.3", "ports": {"http": 8080}, "weight": 3, "locality": "eu/a"},
        {"address": "2001:db8::1"},
    ]
    spec = {**ENTRY, "resolution": "STATIC", "endpoints": endpoints}
    upstream = found(assembled(made("ServiceEntry", spec))).ports[0].upstream
    assert upstream.resolution is Resolution.STATIC
    assert upstream.endpoints == (
        Endpoint("10.1.2.3", 8080, weight=3, locality=("eu", "a", "")),
        Endpoint("2001:db8::1"),
    )
    assert upstream.private is not None
    assert "10.1.2.3/32" in map(str, upstream.private)


@pytest.mark.parametrize(
    "network", ["169.254.0.0/16", "0.0.0.0/0", "127.0.0.1", "fe80::/64", "::/0"]
)
def test_what_is_never_called_is_refused(network: str) -> None:
    spec = {**ENTRY, "resolution": "NONE", "addresses": [network]}
    assert [path for path, _ in errors(made("ServiceEntry", spec))] == ["spec.addresses[0]"]


def test_private_ranges_are_granted_where_they_are_named() -> None:
    spec = {**ENTRY, "resolution": "NONE", "addresses": ["203.0.113.0/24", "10.0.0.0/8"]}
    upstream = found(assembled(made("ServiceEntry", spec))).ports[0].upstream
    assert list(map(str, upstream.private or ())) == ["10.0.0.0/8"]


def test_calls_are_tried_again_as_istio_does_it() -> None:
    assert [each.retries for each in found(assembled(made("ServiceEntry", ENTRY))).rules] == [
        DEFAULT_RETRIES
    ]


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


def test_routes_without_a_match_end_with_404() -> None:
    first, last, of_the_entry = rules(
        [{"match": [{"uri": {"prefix": "/v1"}}], "route": [{"destination": {"host": API}}]}]
    )
    assert first.matches == (Match(Text(Comparison.PREFIX, "/v1")),)
    assert first.backends == ()
    assert last.answer == Answer(404)
    assert of_the_entry.source == "serviceentry/it"


def test_a_route_for_everything_has_nothing_after_it() -> None:
    assert [
        each.answer
        for each in rules([{"timeout": "3s", "route": [{"destination": {"host": API}}]}])
    ] == [
        None,
        None,
    ]


def test_everything_is_matched() -> None:
    match = {
        "uri": {"exact": "/a"},
        "ignoreUriCase": True,
        "method": {"exact": "GET"},
        "headers": {"X-A": {"prefix": "b"}, "x-there": {}},
        "withoutHeaders": {"x-c": {"regex": "d+"}},
        "queryParams": {"q": {"exact": "1"}},
        "authority": {"exact": API},
        "scheme": {"exact": "http"},
        "port": 80,
    }
    one = rule({"match": [match]})
    assert one.ports == (80,)
    assert one.matches == (
        Match(
            path=Text(Comparison.EXACT, "/a", ignore_case=True),
            methods=("GET",),
            headers=(
                Field("x-a", Text(Comparison.PREFIX, "b")),
                Field("x-there", Text(Comparison.PRESENT)),
                Field("x-c", Text(Comparison.REGEX, "d+"), inverted=True),
                Field(":authority", Text(Comparison.EXACT, API)),
            ),
            query=(Field("q", Text(Comparison.EXACT, "1")),),
        ),
    )


def test_matches_of_different_ports_become_rules_of_their_own() -> None:
    found = rules(
        [
            {
                "match": [{"port": 80}, {"port": 8080}, {"port": 80, "uri": {"prefix": "/x"}}],
                "route": [{"destination": {"host": API}}],
            }
        ]
    )
    assert [(each.ports, len(each.matches)) for each in found[:3]] == [
        ((80,), 2),
        ((8080,), 0),
        ((), 0),
    ]


def test_a_split_leads_where_each_share_goes() -> None:
    split = [
        {"destination": {"host": "b.example.com", "port": {"number": 80}}, "weight": 10},
        {"destination": {"host": API}, "weight": 90, "headers": {"request": {"set": {"X-V": "1"}}}},
        {"destination": {"host": "b.example.com"}, "weight": 0},
    ]
    # The Host stays the one that was called, as in Istio.
    assert rules([{"route": split}])[0].rewrite == Rewrite(host=API)
    assert rules([{"route": split}])[0].backends == (
        Backend(Target("default", "b.example.com", 80), 10),
        Backend(Target("default", API), 90, request=Edits(put=(("x-v", "1"),))),
    )


@pytest.mark.parametrize(
    ("retries", "expected"),
    [
        ({"attempts": 0}, Retries(0)),
        ({"attempts": 3}, Retries(3, DEFAULT_RETRIES.on)),
        (
            {
                "attempts": 3,
                "retryOn": "5xx, 429,retriable-status-codes",
                "perTryTimeout": "2s",
                "backoff": "1s",
            },
            Retries(3, ("5xx",), (429,), 2.0, backoff=1.0),
        ),
        (None, DEFAULT_RETRIES),
    ],
)
def test_retries(retries: Any, expected: Retries) -> None:
    assert rule({"retries": retries}).retries == expected


def test_faults() -> None:
    fault = {
        "delay": {"fixedDelay": "5s", "percentage": {"value": 0.1}},
        "abort": {"grpcStatus": "UNAVAILABLE", "percentage": {"value": 50}},
    }
    assert rule({"fault": fault}).fault == Fault(5.0, 0.1, None, 14, 50.0)


def test_a_fault_without_percentage_is_none_as_in_istio_and_said() -> None:
    service = made(
        "VirtualService",
        {
            "hosts": [API],
            "http": [
                {"fault": {"abort": {"httpStatus": 503}}, "route": [{"destination": {"host": API}}]}
            ],
        },
    )
    assert [each.path for each in parsed(service).problems] == [
        "spec.http[0].fault.abort.percentage"
    ]
    assert rule({"fault": {"abort": {"httpStatus": 503}}}).fault is None


@pytest.mark.parametrize(
    ("uri", "whole"),
    [({"prefix": "/a"}, False), ({"exact": "/a"}, True), ({"regex": "/a.*"}, True)],
)
def test_a_rewrite_replaces_what_was_matched(uri: Any, whole: bool) -> None:
    one = rule({"match": [{"uri": uri}], "rewrite": {"uri": "/b", "authority": "c.example.com"}})
    assert one.rewrite == Rewrite("/b", whole, host="c.example.com")


def test_a_host_that_is_set_is_a_rewrite() -> None:
    assert rule({"headers": {"request": {"set": {"Host": "c.example.com"}}}}).rewrite == Rewrite(
        host="c.example.com"
    )


def test_redirects_answers_and_mirrors() -> None:
    redirect = {"authority": "c.example.com", "uri": "/x", "redirectCode": 308}
    assert rules([{"redirect": redirect}])[0].redirect == Redirect(
        host="c.example.com", path="/x", status=308
    )
    # Istio's is 301, where nobody says.
    assert rules([{"redirect": {"prefixRewrite": "/x"}}])[0].redirect == Redirect(
        prefix="/x", status=301
    )
    answer = {"status": 418, "body": {"bytes": "dGVh"}}
    assert rules([{"directResponse": answer}])[0].answer == Answer(418, "tea")
    mirror = {"mirror": {"host": "b.example.com"}, "mirrorPercentage": {"value": 5}}
    assert rule(mirror).mirrors == (Mirror(Target("default", "b.example.com"), 5.0),)


def test_a_route_of_another_namespace_holds_for_its_own_callers_alone() -> None:
    entry = made("ServiceEntry", ENTRY, namespace="shared")
    http = [{"timeout": "1s", "route": [{"destination": {"host": API}}]}]
    service = made("VirtualService", {"hosts": [API], "http": http}, namespace="team")
    first, *_ = found(assembled(entry, service), namespace="shared").rules
    assert first.callers == frozenset(("team",))


def test_a_route_for_other_callers_is_not_made_one_for_its_own() -> None:
    entry = made("ServiceEntry", ENTRY, namespace="shared")
    match = [{"sourceNamespace": "elsewhere"}]
    http = [{"match": match, "fault": {"abort": {"httpStatus": 500, "percentage": {"value": 100}}}}]
    http[0]["route"] = [{"destination": {"host": API}}]
    service = made("VirtualService", {"hosts": [API], "http": http}, namespace="team")
    effective = found(assembled(entry, service), namespace="shared")
    assert all(each.fault is None for each in effective.rules)


def test_a_route_is_exported_to_namespaces() -> None:
    http = [{"route": [{"destination": {"host": API}}]}]
    first, *_ = rules(http, exportTo=[".", "team"])
    assert first.callers == frozenset(("default", "team"))


def test_what_is_for_gateways_is_left_out() -> None:
    http = [
        {
            "match": [{"gateways": ["egress"], "port": 80}],
            "route": [{"destination": {"host": API}}],
        },
        {
            "match": [{"gateways": ["mesh"], "port": 80}],
            "timeout": "1s",
            "route": [{"destination": {"host": API}}],
        },
    ]
    first, second, _ = rules(http, gateways=["egress", "mesh"])
    assert first.timeouts.request == 1.0
    assert second.answer == Answer(404)
    assert len(rules(http, gateways=["egress"])) == 1


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


@pytest.mark.parametrize(
    ("kind", "spec", "path"),
    [
        ("ServiceEntry", {**ENTRY, "hosts": ["bin"]}, "spec.hosts[0]"),
        ("ServiceEntry", {**ENTRY, "hosts": ["*"]}, "spec.hosts[0]"),
        ("ServiceEntry", {**ENTRY, "hosts": ["192.0.2.1"]}, "spec.hosts[0]"),
        ("ServiceEntry", {**ENTRY, "hosts": ["*.example.com"]}, "spec.resolution"),
        ("ServiceEntry", {**ENTRY, "resolution": "STATIC"}, "spec.endpoints"),
        (
            "ServiceEntry",
            {**ENTRY, "endpoints": [{"address": "unix:///x"}]},
            "spec.endpoints[0].address",
        ),
        (
            "ServiceEntry",
            {**ENTRY, "endpoints": [{"address": "169.254.169.254"}]},
            "spec.endpoints[0].address",
        ),
        ("ServiceEntry", {**ENTRY, "addresses": ["0.0.0.0/0"]}, "spec.addresses[0]"),
        (
            "ServiceEntry",
            {**ENTRY, "workloadSelector": {"labels": {"a": "b"}}},
            "spec.workloadSelector",
        ),
        (
            "DestinationRule",
            {"host": API, "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}},
            "spec.trafficPolicy.tls.mode",
        ),
        (
            "DestinationRule",
            {"host": API, "trafficPolicy": {"tls": {"mode": "MUTUAL"}}},
            "spec.trafficPolicy.tls",
        ),
        (
            "DestinationRule",
            {"host": API, "workloadSelector": {"matchLabels": {"a": "b"}}},
            "spec.workloadSelector",
        ),
        (
            "DestinationRule",
            {"host": API, "trafficPolicy": {"connectionPool": {"tcp": {"connectTimeout": "5"}}}},
            "spec.trafficPolicy.connectionPool.tcp.connectTimeout",
        ),
        (
            "Sidecar",
            {"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}},
            "spec.outboundTrafficPolicy.mode",
        ),
        ("Sidecar", {"egress": [{"hosts": ["./*"]}]}, "spec.egress[0].hosts"),
    ],
)
def test_what_would_open_or_break_something_is_refused(kind: str, spec: Any, path: str) -> None:
    assert [each for each, _ in errors(made(kind, spec))] == [path]


@pytest.mark.parametrize(
    ("route", "path"),
    [
        (
            {"route": [{"destination": {"host": API, "subset": "v1"}}]},
            "route[0].destination.subset",
        ),
        ({"match": [{"sourceLabels": {"a": "b"}}]}, "match[0].sourceLabels"),
        ({"match": [{"scheme": {"exact": "https"}}]}, "match[0].scheme"),
        ({"match": [{"uri": {"regex": "(?=x)"}}]}, "match[0].uri.regex"),
        ({"fault": {"abort": {"http2Error": "x", "httpStatus": 1}}}, "fault.abort.httpStatus"),
        ({"retries": {"attempts": 1, "retryOn": "5xxx"}}, "retries.retryOn"),
        (
            {"headers": {"request": {"set": {"x-outgate-namespace": "a"}}}},
            "headers.request.set.x-outgate-namespace",
        ),
        ({"delegate": {"name": "other"}}, "delegate"),
        (
            {"rewrite": {"uriRegexRewrite": {"match": "/(a)", "rewrite": "\\2"}}},
            "rewrite.uriRegexRewrite.rewrite",
        ),
        ({"rewrite": {"uri": "no/path"}}, "rewrite.uri"),
        (
            {"directResponse": {"status": 200, "body": {"string": "x" * 4097}}},
            "directResponse.body",
        ),
        ({"headers": {"request": {"remove": ["content-length"]}}}, "headers.request.remove[0]"),
        ({"redirect": {"uri": "/"}}, ""),
    ],
)
def test_routes_that_would_do_something_else_are_refused(route: Any, path: str) -> None:
    one = {"route": [{"destination": {"host": API}}], **route}
    found = [each for each, _ in errors(made("VirtualService", {"hosts": [API], "http": [one]}))]
    assert f"spec.http[0].{path}".rstrip(".") in found


def test_a_sidecar_that_says_what_is_done_anyway_declares_nothing() -> None:
    spec = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}, "egress": [{"hosts": ["*/*"]}]}
    assembly = assembled(made("Sidecar", spec))
    assert parsed(made("Sidecar", spec)).problems == ()
    assert Source("Sidecar", "default", "it") in assembly.declared
    assert assembly.effective == {}


def test_older_versions_mean_the_same() -> None:
    for version in ("v1beta1", "v1alpha3"):
        document = {**made("ServiceEntry", ENTRY), "apiVersion": f"networking.istio.io/{version}"}
        assert found(assembled(document)) == found(assembled(made("ServiceEntry", ENTRY)))
    document = {**made("ServiceEntry", ENTRY), "apiVersion": "networking.istio.io/v2"}
    assert [path for path, _ in errors(document)] == ["apiVersion"]


def told(assembly: Assembly, kind: str) -> list[tuple[str, str]]:
    source = Source(kind, "default", "it")
    return [(each.path, each.message) for each in assembly.found.get(source, ())]


def test_a_route_to_what_nothing_declares_is_told_until_something_does() -> None:
    http = [{"route": [{"destination": {"host": "b.example.com"}}]}]
    service = made("VirtualService", {"hosts": [API], "http": http})
    assembly = assembled(made("ServiceEntry", ENTRY), service)
    message = "leads to b.example.com, which nothing declares for callers of this namespace"
    assert told(assembly, "VirtualService") == [("spec.hosts[0]", message)]
    entry = parsed(made("ServiceEntry", {**ENTRY, "hosts": ["b.example.com"]}, "b"))
    assembly.update([(source_of(each), declare(each)) for each in entry.every()])
    assert told(assembly, "VirtualService") == []
    assembly.update([(source_of(each), None) for each in entry.every()])
    assert told(assembly, "VirtualService") == [("spec.hosts[0]", message)]


def test_tls_that_is_not_opened_as_the_application_speaks_it_is_told() -> None:
    rule = made("DestinationRule", {"host": API, "trafficPolicy": {"tls": {"mode": "SIMPLE"}}})
    assembly = assembled(made("ServiceEntry", ENTRY), rule)
    assert told(assembly, "DestinationRule") == [
        (
            "spec.host",
            f"port 443 of {API} passes on the application's own TLS: none is opened there",
        )
    ]


@pytest.mark.parametrize(
    ("kind", "match", "to"),
    [
        ("tls", {"port": 443, "sniHosts": [API]}, {"host": "b.example.com"}),
        ("tls", {"sniHosts": ["*.example.com"]}, {"host": API, "port": {"number": 443}}),
        ("tcp", {"port": 80}, {"host": "b.example.com"}),
    ],
)
def test_connections_that_would_be_led_elsewhere_are_refused(
    kind: str, match: Any, to: Any
) -> None:
    route = [{"match": [match], "route": [{"destination": to}]}]
    service = made("VirtualService", {"hosts": [API], kind: route})
    assert [path for path, _ in errors(service)] == [f"spec.{kind}[0].route"]


def test_a_route_of_connections_to_its_own_host_changes_nothing() -> None:
    home = {"match": [{"port": 443, "sniHosts": [API]}]}
    home["route"] = [{"destination": {"host": API, "port": {"number": 443}}, "weight": 100}]
    service = made("VirtualService", {"hosts": [API], "tls": [home]})
    entry = made("ServiceEntry", ENTRY)
    assert found(assembled(entry, service)).rules == found(assembled(entry)).rules


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
