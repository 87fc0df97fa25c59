"""What a sidecar in a cluster gets, as a whole, and its part for DNS."""

import json
import ssl
from typing import Any

import pytest
from dnslib import QTYPE, DNSRecord
from tests.golden.bootstraps import inlined

from outgate.envoy import binary
from outgate.envoy.bootstrap import Bootstrap, render
from outgate.envoy.validate import validate
from outgate.settings import Settings
from outgate.xds import rendering, resolving, sidecars, tunnels
from outgate.xds.consistency import dangling
from outgate.xds.snapshot import Snapshot

PLACES = ("10.1.2.3:15008", "[fd00::3]:15008")


def sidecar() -> Snapshot:
    return Snapshot().replace(
        (
            *sidecars.resources(PLACES, Settings()),
            *resolving.clusters(PLACES, Settings()),
            *resolving.listeners(),
            tunnels.ready(resolving.SEALED),
        )
    )


def shown(kind: str) -> dict[str, Any]:
    return {each["name"]: each for each in rendering.render(sidecar())[kind]}


def test_each_front_leads_to_its_own_resolvers() -> None:
    assert dangling(sidecar()) == []
    clusters, listeners = shown("clusters"), shown("listeners")
    for cluster, front, port in (("resolver", 15053, 15353), ("resolver-forward", 15054, 15354)):
        endpoints = clusters[cluster]["load_assignment"]["endpoints"][0]["lb_endpoints"]
        at = [each["endpoint"]["address"]["socket_address"] for each in endpoints]
        assert [(each["address"], each["port_value"]) for each in at] == [
            ("10.1.2.3", port),
            ("fd00::3", port),
        ]
        for protocol in ("udp", "tcp"):
            for family, ip in (("ip4", "127.0.0.1"), ("ip6", "::1")):
                listener = listeners[f"{cluster}-{protocol}-{family}"]
                where = listener["address"]["socket_address"]
                assert (where["address"], where["port_value"]) == (ip, front)
                assert where.get("protocol", "TCP") == protocol.upper()
                assert f'"cluster": "{cluster}"' in json.dumps(listener)


def test_a_pod_without_ipv6_loses_no_other_listener() -> None:
    """Envoy refuses a listener of which it cannot have one address."""
    ours = [each for name, each in shown("listeners").items() if name.startswith("resolver")]
    assert len(ours) == 8
    assert not any("additional_addresses" in each for each in ours)


def test_health_is_asked_for_with_a_query_that_no_resolver_passes_on() -> None:
    (check,) = shown("clusters")["resolver"]["health_checks"]
    data = bytes.fromhex(check["tcp_health_check"]["send"]["text"])
    assert int.from_bytes(data[:2]) == len(data) - 2
    query = DNSRecord.parse(data[2:])
    assert (str(query.q.qname), QTYPE.get(query.q.qtype)) == ("cluster.local.", "TXT")
    assert bytes.fromhex(check["tcp_health_check"]["receive"][0]["text"]) == data[2:4]


@pytest.mark.envoy
def test_envoy_accepts_it(tmp_path: Any) -> None:
    bootstrap = render(Bootstrap("sidecar", "sidecar", str(tmp_path / "x"), str(tmp_path / "a")))
    del bootstrap["dynamic_resources"]["lds_config"], bootstrap["dynamic_resources"]["cds_config"]
    (tmp_path / "secrets.json").write_text('{"resources": []}')
    secrets = {"path_config_source": {"path": str(tmp_path / "secrets.json")}}
    fixed = bootstrap["static_resources"]
    fixed["clusters"] += shown("clusters").values()
    fixed["listeners"] = list(shown("listeners").values())
    scopes: dict[str, Any] = {"scoped_route_configurations": []}
    text = json.dumps({**bootstrap, "static_resources": inlined(fixed, scopes, secrets)})
    assert ssl.get_default_verify_paths()
    validate(binary.find(), text)
