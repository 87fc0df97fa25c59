from typing import Any

import pytest

from outgate.model.addresses import Allocation, Claim, Region
from outgate.model.destinations import Destination, Endpoint, External, Internal, Port
from outgate.model.names import Name
from outgate.settings import Settings
from outgate.traffic.references import Protocol
from outgate.xds import clusters, finding, holding
from outgate.xds.clusters import Upstream
from outgate.xds.finding import Way
from outgate.xds.holding import Holder
from outgate.xds.rendering import decode

NAME = Name("ns", "s")
UPSTREAM = Upstream(Settings(connect_timeout=1.5), "/ca.pem", ("192.0.2.53", "2001:db8::53"))
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def made(service: Destination) -> dict[str, dict[str, Any]]:
    claim = Claim(NAME, Region.RAW if service.has_raw_port else Region.HTTP)
    allocation, _ = Allocation().assign([claim])
    found = holding.resources(Holder(NAME, (service,)), allocation, UPSTREAM, (), "/log")
    return {each.name: decode(each) for each in found}


def external(*ports: Port) -> dict[str, dict[str, Any]]:
    return made(External(NAME, "h.example.com", ports))


def only(port: Port) -> dict[str, Any]:
    (found,) = external(port).values()
    return found


def raw(kind: Destination) -> list[str]:
    return sorted(name for name in made(kind) if name.startswith("tcp|"))


class TestExternal:
    def test_it_leads_to_the_external_name_whatever_address_was_called(self) -> None:
        found = only(Port(8080, Protocol.HTTP))
        (endpoint,) = found["load_assignment"]["endpoints"][0]["lb_endpoints"]
        assert endpoint["endpoint"]["address"]["socket_address"] == {
            "address": "h.example.com",
            "port_value": 8080,
        }
        assert found["connect_timeout"] == "1.500s"

    def test_names_are_asked_of_the_given_resolvers_without_search_domains(self) -> None:
        dns = only(Port(80, Protocol.HTTP))["cluster_type"]["typed_config"]
        config = dns["typed_dns_resolver_config"]["typed_config"]
        assert [each["socket_address"]["address"] for each in config["resolvers"]] == list(
            UPSTREAM.resolvers
        )
        assert config["dns_resolver_options"]["no_default_search_domain"] is True
        assert dns["dns_lookup_family"] == "ALL"

    def test_tls_checks_chain_and_name_and_sends_sni(self) -> None:
        context = only(Port(443, Protocol.HTTPS))["transport_socket"]["typed_config"]
        assert context["sni"] == "h.example.com"
        validation = context["common_tls_context"]["validation_context"]
        assert validation["trusted_ca"] == {"filename": "/ca.pem"}
        assert validation["match_typed_subject_alt_names"] == [
            {"san_type": "DNS", "matcher": {"exact": "h.example.com"}}
        ]
        versions = context["common_tls_context"]["tls_params"]
        assert versions["tls_minimum_protocol_version"] == "TLSv1_2"
        assert versions["tls_maximum_protocol_version"] == "TLSv1_3"

    @pytest.mark.parametrize("protocol", [Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC])
    def test_other_protocols_are_not_tls(self, protocol: Protocol) -> None:
        assert "transport_socket" not in only(Port(443, protocol))

    @pytest.mark.parametrize(
        ("protocol", "kind", "versions"),
        [
            (Protocol.HTTP, "explicit_http_config", {"http_protocol_options"}),
            (Protocol.HTTP2, "explicit_http_config", {"http2_protocol_options"}),
            (Protocol.GRPC, "explicit_http_config", {"http2_protocol_options"}),
            (Protocol.HTTPS, "auto_config", {"http_protocol_options", "http2_protocol_options"}),
        ],
    )
    def test_the_version_of_http(self, protocol: Protocol, kind: str, versions: set[str]) -> None:
        options = only(Port(443, protocol))["typed_extension_protocol_options"][OPTIONS]
        assert set(options[kind]) == versions

    def test_the_guard_knows_its_connections(self) -> None:
        for found in external(
            Port(80, Protocol.HTTP), Port(443, Protocol.HTTPS), Port(22, Protocol.TCP)
        ).values():
            if "cluster_type" in found:
                (option,) = found["upstream_bind_config"]["socket_options"]
                assert option == {"level": "1", "name": "36", "int_value": str(0x6F67)}

    def test_plain_tcp_has_a_cluster_for_each_virtual_address_and_no_http(self) -> None:
        found = external(Port(22, Protocol.TCP))
        address = Allocation().assign([Claim(NAME, Region.RAW)])[0].addresses[NAME]
        assert set(found) == {f"tcp|{address.ipv4}:22", f"tcp|[{address.ipv6}]:22"}

    def test_an_http_port_beside_a_plain_tcp_port_leads_back_into_the_pipeline(self) -> None:
        found = external(Port(80, Protocol.HTTP), Port(22, Protocol.TCP))
        late = [
            each for name, each in found.items() if name.startswith("tcp|") and name.endswith(":80")
        ]
        assert len(late) == 2
        for each in late:
            (endpoint,) = each["load_assignment"]["endpoints"][0]["lb_endpoints"]
            inner = endpoint["endpoint"]["address"]["envoy_internal_address"]
            assert inner["server_listener_name"] == "late"

    def test_only_http_clusters_may_come_on_demand(self) -> None:
        address = Allocation().assign([Claim(NAME, Region.RAW)])[0].addresses[NAME]
        ports = (Port(80, Protocol.HTTP), Port(22, Protocol.TCP))
        service = External(NAME, "h.example.com", ports)
        way = Way(address, raw=True)
        found = (
            *clusters.external(service, UPSTREAM),
            *finding.external(service, way, UPSTREAM),
        )
        # A connection that is not HTTP cannot wait for its cluster.
        assert {each.name.partition("|")[0] for each in found if each.on_demand} == {"http"}
        assert {each.name.partition("|")[0] for each in found if not each.on_demand} == {"tcp"}

    def test_each_names_its_service_for_the_log(self) -> None:
        for found in external(Port(80, Protocol.HTTP), Port(22, Protocol.TCP)).values():
            assert found["metadata"]["filter_metadata"]["outgate"] == {"service": "s.ns"}


class TestInternal:
    def service(self, *endpoints: Endpoint, protocol: Protocol = Protocol.HTTP) -> Internal:
        return Internal(NAME, (Port(80, protocol),), (endpoints,))

    def test_endpoints_are_the_ways_into_pods(self) -> None:
        pods = (Endpoint(Name("ns", "a"), "/a", 8000), Endpoint(Name("ns", "b"), "/b", 8000))
        (found,) = made(self.service(*pods)).values()
        inner = [
            each["endpoint"]["address"]["envoy_internal_address"]
            for each in found["load_assignment"]["endpoints"][0]["lb_endpoints"]
        ]
        assert [each["server_listener_name"] for each in inner] == [
            "inbound|a.ns|8000",
            "inbound|b.ns|8000",
        ]
        assert len({each["endpoint_id"] for each in inner}) == 2

    def test_with_no_pod_it_is_there_and_leads_nowhere(self) -> None:
        (found,) = made(self.service()).values()
        assert not found["load_assignment"]["endpoints"][0].get("lb_endpoints")

    def test_plain_tcp(self) -> None:
        assert len(raw(self.service(protocol=Protocol.TCP))) == 2


def test_a_pod_is_entered_by_its_loopback_in_its_own_namespace() -> None:
    found = decode(clusters.into_pod(Name("ns", "p"), "/run/netns/p", 8000))
    (endpoint,) = found["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert endpoint["endpoint"]["address"]["socket_address"]["address"] == "127.0.0.1"
    source = found["upstream_bind_config"]["source_address"]
    assert source["network_namespace_filepath"] == "/run/netns/p"


def test_where_a_denied_connection_goes_there_is_nobody() -> None:
    (deny,) = (decode(each) for each in clusters.shared() if each.name == "deny")
    assert "endpoints" not in deny["load_assignment"]
